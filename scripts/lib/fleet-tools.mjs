// The programs that test/e2e/fleet*.test.ts check the fleet's configurations with: a Parca server, and readers of
// configurations that are made of the readers' own code.
//
// Each is built in the module cache, with the module itself as the main module: so it has the very dependencies, by the
// go.sum, that its authors tested it with, and nothing of it is kept here.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findGo } from './go.mjs';
import { capture, findProgram, ROOT, run, StepError, say } from './process.mjs';
import { unlessUpToDate } from './up-to-date.mjs';

const FOLDER = 'out/fleet';

/** The hashes are those of the checksum database. */
const PARCA = {
  path: 'github.com/parca-dev/parca',
  version: 'v0.21.0',
  sum: 'h1:rEaamHz+qCHhihDr04LenIFBBvlLPi0LYVe2Gf4OXoE=',
};
const ALLOY_SYNTAX = {
  path: 'github.com/grafana/alloy/syntax',
  version: 'v0.1.0',
  sum: 'h1:+1xQakvQPH6N0y9+q2Fu5QePyzrve6i1wMNuXdWd1rQ=',
};

/**
 * purego: parquet-go's assembly reaches into Go's runtime, which Go has forbidden since. Without optimization: half of the
 * time that it takes to build.
 */
const FLAGS = ['-buildvcs=false', '-tags=purego', '-gcflags=all=-N -l -dwarf=false', '-ldflags=-s -w'];

const TOOLS = [
  { name: 'parca', module: PARCA, source: './cmd/parca' },
  { name: 'checkconfigs', module: PARCA, source: 'test/fleet/checkconfigs/main.go' },
  { name: 'alloyformat', module: ALLOY_SYNTAX, source: 'test/fleet/alloyformat/main.go' },
];

/** Path of a tool's executable, relative to the root. */
export function fleetTool(name) {
  return join(FOLDER, name);
}

/** A package of the module, or the absolute path of a file of ours. */
const packageOf = (source) => (source.startsWith('./') ? source : join(ROOT, source));

/**
 * Downloads a module, and what the tool needs of those that it depends on.
 *
 * @returns {{ Dir: string, Sum: string }} where the module cache has it, and its hash
 * @throws {StepError} when it cannot be had
 */
function fetchModules(go, { name, module: { path, version }, source }) {
  try {
    // Outside of any module of ours. Only the first form says what is wrong.
    capture([go, 'mod', 'download', `${path}@${version}`], { cwd: '/' });
    const module = JSON.parse(capture([go, 'mod', 'download', '-json', `${path}@${version}`], { cwd: '/' }));
    capture([go, 'list', '-deps', '-tags=purego', packageOf(source)], { cwd: module.Dir });
    return module;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    const [reason] = error.message.trim().split('\n').slice(-1);
    throw new StepError(`${name} cannot be downloaded: ${reason}`, 'fleet tests need the Go module proxy, once');
  }
}

/**
 * Builds the tools that are not up to date; the first time that takes minutes.
 *
 * @param {{ mayLack?: boolean }} [options] mayLack: a tool that cannot be downloaded is said, and left out
 * @throws {StepError} when a build fails
 */
export function buildFleetTools({ mayLack = false } = {}) {
  const go = findGo();
  const nice = findProgram('nice');
  mkdirSync(join(ROOT, FOLDER), { recursive: true });
  for (const tool of TOOLS) {
    const { name, module, source } = tool;
    const executable = fleetTool(name);
    const step = {
      name: `fleet-${name}`,
      inputs: source.startsWith('./') ? [] : [source],
      outputs: [executable],
      facts: [module, FLAGS, capture([go, 'version'])],
    };
    unlessUpToDate(step, () => {
      say(`go build: ${module.path}@${module.version} → ${executable}`);
      const fetched = downloaded(() => fetchModules(go, tool), mayLack);
      if (fetched === undefined) return rmSync(join(ROOT, executable), { force: true });
      if (fetched.Sum !== module.sum) throw new StepError(`${module.path} is not what it was: ${fetched.Sum}`);
      const build = [go, 'build', ...FLAGS, '-o', join(ROOT, executable), packageOf(source)];
      run([...(nice ? [nice] : []), ...build], { cwd: fetched.Dir });
    });
  }
}

function downloaded(fetch, mayLack) {
  try {
    return fetch();
  } catch (error) {
    if (!mayLack || !(error instanceof StepError)) throw error;
    say(`skipped: ${error.message}`);
    return undefined;
  }
}
