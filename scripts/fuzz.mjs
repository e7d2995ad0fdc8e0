// npm run fuzz [-- SECONDS]: every test/native/**/NAME_fuzz.cc under libFuzzer with ASan and UBSan, SECONDS (60) each.
//
//     node scripts/fuzz.mjs --keep    puts what was found into the corpora, as few inputs as reach the same code
//
// Starts from test/fuzz/corpus/NAME_fuzz, which the native tests run too, and leaves what it finds in out/fuzz/NAME_fuzz.
// An input that fails is worth a test of its own.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildWithCmake } from './lib/cmake.mjs';
import { ensurePackages } from './lib/debian.mjs';
import { main, ROOT, run, StepError, say } from './lib/process.mjs';
import { filesUnder } from './lib/up-to-date.mjs';
import { setUp } from './setup.mjs';

const BUILD = 'out/native-fuzz';

/** A fuzzer by its source: its name, its program, its corpus and what it found. */
function fuzzerOf(source) {
  const name = basename(source, '.cc');
  return {
    name,
    program: join(BUILD, dirname(source).replace('test/native', 'test'), name),
    corpus: join(ROOT, 'test/fuzz/corpus', name),
    findings: join(ROOT, 'out/fuzz', name),
  };
}

function fuzz({ name, program, corpus, findings }, seconds) {
  say(`${name}: ${seconds} s`);
  const options = [`-max_total_time=${seconds}`, `-artifact_prefix=${findings}-`, '-print_final_stats=1'];
  run([program, ...options, findings, corpus]);
}

/** Edges count, not how often they are run: corpora are kept for what they reach, and small. */
function keep({ name, program, corpus, findings }) {
  const smallest = `${findings}-smallest`;
  rmSync(smallest, { recursive: true, force: true });
  mkdirSync(smallest);
  run([program, '-set_cover_merge=1', '-use_counters=0', smallest, corpus, findings], { quiet: true });
  rmSync(corpus, { recursive: true });
  cpSync(smallest, corpus, { recursive: true });
  say(`${name}: ${filesUnder(join('test/fuzz/corpus', name)).length} inputs kept`);
}

/** @returns {number} 0 for --keep */
function secondsWanted() {
  const [argument = '60'] = process.argv.slice(2);
  if (argument === '--keep') return 0;
  const seconds = Number(argument);
  if (!Number.isInteger(seconds) || seconds < 1) throw new StepError('SECONDS is a whole number above 0');
  return seconds;
}

await main(() => {
  const seconds = secondsWanted();
  setUp({ withTests: true });
  ensurePackages(['fuzz']);
  const fuzzers = filesUnder('test/native')
    .filter((file) => file.endsWith('_fuzz.cc'))
    .map(fuzzerOf);
  say(`clang: ${fuzzers.length} fuzzers → ${BUILD}`);
  const settings = ['CGOPROF_FUZZ=ON', 'CMAKE_C_COMPILER=clang', 'CMAKE_CXX_COMPILER=clang++'];
  buildWithCmake(BUILD, { settings, targets: fuzzers.map(({ name }) => name) });
  for (const fuzzer of fuzzers) {
    for (const folder of [fuzzer.corpus, fuzzer.findings]) mkdirSync(folder, { recursive: true });
    if (seconds === 0) keep(fuzzer);
    else fuzz(fuzzer, seconds);
  }
});
