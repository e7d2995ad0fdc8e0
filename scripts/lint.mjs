// npm run lint: layout and static checks of TypeScript, JavaScript, C, C++ and Go. With --fix, whatever can be put right
// by a program is. clang-tidy takes minutes and is a task of its own (npm run lint:tidy).
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { targetFlags } from './build-targets.mjs';
import { findGo } from './lib/go.mjs';
import { capture, findProgram, main, nodeBin, ROOT, run, StepError, say } from './lib/process.mjs';
import { filesUnder } from './lib/up-to-date.mjs';
import { setUp } from './setup.mjs';

const SOURCES = ['native', 'test', 'examples'];

/** The release whose layout this code has: others lay a few things out differently. */
const CLANG_FORMAT = 14;

/** go vet needs a module's whole source; of these a part is generated. */
const NOT_VETTED = ['test/targets/big', 'test/targets/serve-load'];

const sources = (pattern) => SOURCES.flatMap(filesUnder).filter((file) => pattern.test(file));

function lintTypeScript(fix) {
  say('biome');
  run([nodeBin('biome'), 'check', '--error-on-warnings', ...(fix ? ['--write'] : [])]);
}

function lintCpp(fix) {
  const clangFormat = findProgram([`clang-format-${CLANG_FORMAT}`, 'clang-format']);
  const version = clangFormat ? capture([clangFormat, '--version']).match(/version (\d+)/)?.[1] : 'none';
  if (Number(version) !== CLANG_FORMAT) {
    say(`clang-format: skipped, this is ${version} and the code is laid out by ${CLANG_FORMAT}`);
    return;
  }
  say('clang-format');
  run([clangFormat, ...(fix ? ['-i'] : ['--dry-run', '--Werror']), ...sources(/\.(c|cc|h)$/)]);
}

function lintGo(fix) {
  const go = findGo();
  say('gofmt, go vet');
  const unformatted = capture([join(go, '../gofmt'), fix ? '-w' : '-l', ...sources(/\.go$/)]);
  if (unformatted) throw new StepError(`not formatted by gofmt:\n${unformatted.trimEnd()}`, 'npm run lint:fix');
  for (const folder of goModules().filter((module) => !NOT_VETTED.includes(module))) {
    run([go, 'vet', ...targetFlags(basename(folder)), './...'], { cwd: join(ROOT, folder) });
  }
}

function goModules() {
  return ['examples', 'test/bench', 'test/targets'].flatMap((parent) =>
    readdirSync(join(ROOT, parent))
      .filter((name) => filesUnder(join(parent, name, 'go.mod')).length > 0)
      .map((name) => join(parent, name)),
  );
}

/** The tests as strictly as src, which the build checks; the scripts as far as their comments give types. */
function checkTypes() {
  for (const folder of ['test', 'scripts']) {
    say(`tsc: ${folder}`);
    run([nodeBin('tsc'), '-p', folder]);
  }
}

/** Runs every linter. @throws {StepError} at the first that finds something */
export function lint({ fix = false } = {}) {
  lintTypeScript(fix);
  lintCpp(fix);
  lintGo(fix);
  checkTypes();
}

if (process.argv[1] === import.meta.filename) {
  await main(() => {
    setUp({ withTests: true });
    lint({ fix: process.argv.includes('--fix') });
  });
}
