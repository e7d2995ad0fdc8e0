// The workloads of test/bench, built: where each lies, and how it is built.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findGo, goEnv } from './go.mjs';
import { capture, findProgram, ROOT, run, say } from './process.mjs';
import { unlessUpToDate } from './up-to-date.mjs';

const SOURCES = 'test/bench';
const FOLDER = 'out/targets/bench';
const IN_C = ['mix', 'handoff', 'held'];
const IN_GO = ['cgo', 'sqlite', 'zstd'];

function buildC(name, compiler) {
  const source = join(SOURCES, `${name}.c`);
  const program = join(FOLDER, name);
  const command = [compiler, '-O2', '-g', '-pthread', '-Wall', '-Wextra', '-o', program, source];
  const step = {
    name: `bench-${name}`,
    inputs: [source, join(SOURCES, 'random.h'), join(SOURCES, 'result.h')],
    outputs: [program],
    facts: [command, capture([compiler, '--version'])],
  };
  unlessUpToDate(step, () => run(command, { quiet: true }));
}

function buildGo(name, go) {
  const program = join(FOLDER, name);
  const command = [go, 'build', '-buildvcs=false', '-o', join(ROOT, program), '.'];
  const step = {
    name: `bench-${name}`,
    inputs: [join(SOURCES, name)],
    outputs: [program],
    facts: [command, goEnv(go, 'GOVERSION')],
  };
  unlessUpToDate(step, () => {
    say(`go build: ${SOURCES}/${name}`);
    run(command, { cwd: join(ROOT, SOURCES, name), env: { CGO_ENABLED: '1' }, quiet: true });
  });
}

/** Builds what is not up to date. @returns {Record<string, string>} name → absolute path of the executable */
export function buildPrograms() {
  mkdirSync(join(ROOT, FOLDER), { recursive: true });
  for (const name of IN_C) buildC(name, findProgram(['cc', 'gcc']));
  for (const name of IN_GO) buildGo(name, findGo());
  return Object.fromEntries([...IN_C, ...IN_GO].map((name) => [name, join(ROOT, FOLDER, name)]));
}
