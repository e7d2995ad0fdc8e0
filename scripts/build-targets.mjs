// Builds the Go test targets: test/targets/NAME → out/targets/NAME/NAME.
//
//     node scripts/build-targets.mjs [NAME…] [--variant V] [--go PATH] [--go-flag FLAG…] [--toolchain go1.N.P]
//
// Without names: every target that the tests need. A variant has a folder of its own (out/targets/NAME/V/NAME), so that
// builds by several Go versions or with several flags lie side by side. What is up to date is left alone.
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { findGo, goEnv } from './lib/go.mjs';
import { main, ROOT, run, StepError, say } from './lib/process.mjs';
import { unlessUpToDate } from './lib/up-to-date.mjs';

const SOURCES = 'test/targets';

/**
 * How a target differs from a plain `go build`. `variants`: flags of the builds that belong to it, by their names.
 * `onRequest`: it is big, and only measurements need it.
 */
const SPECIAL = {
  accuracy: { before: buildNoframeLibrary },
  allocators: { before: buildPlugin },
  big: { sources: generateSources, onRequest: true },
  'serve-load': { sources: generateSources, onRequest: true },
  'sqlite-vtable': { flags: ['-tags=sqlite_vtable'], variants: { fixed: ['-modfile=fixed.mod'] } },
};

/** A shared library without frame pointers, beside the executable whose RUNPATH ($ORIGIN) finds it. */
function buildNoframeLibrary({ source, folder }) {
  const flags = ['-O2', '-g', '-fomit-frame-pointer', '-fPIC', '-shared'];
  run(['cc', ...flags, '-o', join(folder, 'libnoframe.so'), join(source, 'noframe/noframe.c')]);
}

/** A C++ library that the executable loads while it runs, from beside itself. */
function buildPlugin({ source, folder }) {
  const flags = ['-O1', '-g', '-fPIC', '-shared'];
  run(['c++', ...flags, '-o', join(folder, 'libplugin.so'), join(source, 'plugin/plugin.cc')]);
}

function generateSources({ source, folder }) {
  const generated = join(folder, 'src');
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(generated, { recursive: true });
  for (const file of ['go.mod', 'main.go']) copyFileSync(join(source, file), join(generated, file));
  run([process.execPath, join(source, 'generate.mjs'), generated]);
  return generated;
}

/** Names of the targets, all of them or those that the tests need. */
export function targetNames({ all = false } = {}) {
  const folders = readdirSync(join(ROOT, SOURCES), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map((entry) => entry.name).filter((name) => all || !SPECIAL[name]?.onRequest);
}

/** The flags of go build without which a target, or its variant of that name, is another. */
export function targetFlags(name, variant = '') {
  const { flags = [], variants = {} } = SPECIAL[name] ?? {};
  return [...flags, ...(variants[variant] ?? [])];
}

/** Path of a target's executable, relative to the root. */
export function targetExecutable(name, variant = '') {
  return join('out/targets', name, variant, name);
}

/**
 * Builds one target, unless it is up to date.
 *
 * @param {string} name a folder of test/targets
 * @param {{ variant?: string, go?: string, flags?: readonly string[], toolchain?: string }} [options] variant: name of the
 *   folder for this build, and of its flags where the target has such a variant; go: path of the go command; flags: more
 *   flags for go build; toolchain: the Go version to build with (GOTOOLCHAIN), fetched as a Go module where needed
 * @returns {string} absolute path of the executable
 * @throws {StepError} when a tool is missing or the build fails
 */
export function buildTarget(name, { variant = '', go = findGo(), flags = [], toolchain = '' } = {}) {
  const special = SPECIAL[name] ?? {};
  const source = join(ROOT, SOURCES, name);
  const executable = targetExecutable(name, variant);
  const env = toolchain ? { GOTOOLCHAIN: toolchain } : {};
  const allFlags = ['-buildvcs=false', ...targetFlags(name, variant), ...flags];
  const command = [go, 'build', ...allFlags, '-o', join(ROOT, executable), '.'];
  const step = {
    name: `target-${name}-${variant}`,
    inputs: [join(SOURCES, name)],
    outputs: [executable],
    facts: [command, goEnv(go, 'GOVERSION', env)],
  };
  unlessUpToDate(step, () => {
    say(`go build: ${SOURCES}/${name} → ${executable}`);
    const place = { source, folder: join(ROOT, dirname(executable)) };
    mkdirSync(place.folder, { recursive: true });
    special.before?.(place);
    run(command, { cwd: special.sources?.(place) ?? source, env: { ...env, CGO_ENABLED: '1' } });
  });
  return join(ROOT, executable);
}

/** Builds a target with the variants that belong to it. */
function buildWithVariants(name, options) {
  buildTarget(name, options);
  if (options.variant) return;
  for (const variant of Object.keys(SPECIAL[name]?.variants ?? {})) buildTarget(name, { ...options, variant });
}

/** Builds every target that the tests need. */
export function buildTargets() {
  for (const name of targetNames()) buildWithVariants(name, {});
}

function fromCommandLine() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      variant: { type: 'string' },
      go: { type: 'string' },
      toolchain: { type: 'string' },
      'go-flag': { type: 'string', multiple: true },
    },
  });
  const known = targetNames({ all: true });
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new StepError(`no such target: ${unknown.join(' ')}`, `there are: ${known.join(' ')}`);
  const { 'go-flag': flags, ...options } = values;
  for (const name of positionals.length > 0 ? positionals : targetNames()) {
    buildWithVariants(name, flags ? { ...options, flags } : options);
  }
}

if (process.argv[1] === import.meta.filename) await main(fromCommandLine);
