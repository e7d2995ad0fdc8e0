// npm run fuzz [-- SECONDS]: every test/native/**/NAME_fuzz.cc under libFuzzer with ASan and UBSan, SECONDS (60) each.
//
// Starts from the seeds in corpus/NAME_fuzz beside the source, and keeps what it finds in out/fuzz/NAME_fuzz. An input
// that fails is worth a seed there and a test of its own.
import { existsSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildWithCmake } from './lib/cmake.mjs';
import { ensurePackages } from './lib/debian.mjs';
import { main, ROOT, run, StepError, say } from './lib/process.mjs';
import { filesUnder } from './lib/up-to-date.mjs';
import { setUp } from './setup.mjs';

const BUILD = 'out/native-fuzz';

function fuzz(source, seconds) {
  const name = basename(source, '.cc');
  const home = dirname(source);
  const findings = join(ROOT, 'out/fuzz', name);
  mkdirSync(findings, { recursive: true });
  const seeds = [join(ROOT, home, 'corpus', name)].filter(existsSync);
  const program = join(BUILD, home.replace('test/native', 'test'), name);
  say(`${name}: ${seconds} s`);
  run([
    program,
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${findings}/`,
    '-print_final_stats=1',
    findings,
    ...seeds,
  ]);
}

await main(() => {
  const seconds = Number(process.argv[2] ?? 60);
  if (!Number.isInteger(seconds) || seconds < 1) throw new StepError('SECONDS is a whole number above 0');
  setUp({ withTests: true });
  ensurePackages(['fuzz']);
  const sources = filesUnder('test/native').filter((file) => file.endsWith('_fuzz.cc'));
  say(`clang: ${sources.length} fuzzers → ${BUILD}`);
  const settings = ['CGOPROF_FUZZ=ON', 'CMAKE_C_COMPILER=clang', 'CMAKE_CXX_COMPILER=clang++'];
  buildWithCmake(BUILD, { settings, targets: sources.map((source) => basename(source, '.cc')) });
  for (const source of sources) fuzz(source, seconds);
});
