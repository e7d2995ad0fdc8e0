// npm test: sets up, then runs every check there is. Stops at the first stage that fails.
//
//     node scripts/test.mjs [lint|native|unit|e2e…]    only these stages
//
// Ends with one line of counts, taken from the reports that the test runners wrote.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildTargets } from './build-targets.mjs';
import { buildFleetTools } from './lib/fleet-tools.mjs';
import { main, nodeBin, ROOT, run, StepError, say } from './lib/process.mjs';
import { lint } from './lint.mjs';
import { setUp } from './setup.mjs';

const REPORTS = join(ROOT, 'out/reports');
const NATIVE_REPORT = join(REPORTS, 'native.xml');
const VITEST_REPORT = join(REPORTS, 'vitest.json');

const STAGES = ['lint', 'native', 'unit', 'e2e'];

/** GoogleTest, through ctest. */
function testNative() {
  const report = ['--output-junit', NATIVE_REPORT];
  run(['ctest', '--test-dir', 'out/native', '--output-on-failure', '--no-tests=error', '--parallel', '2', ...report]);
}

/** vitest. Coverage is measured, and its threshold asked for, where all of the tests run. */
function testTypeScript(projects, withCoverage) {
  if (projects.includes('e2e')) {
    buildTargets();
    buildFleetTools({ mayLack: true });
  }
  const selection = projects.flatMap((project) => ['--project', project]);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${VITEST_REPORT}`];
  run([nodeBin('vitest'), 'run', ...selection, ...reporters, ...(withCoverage ? ['--coverage'] : [])]);
}

function nativeCounts() {
  if (!existsSync(NATIVE_REPORT)) return { passed: 0, failed: 0, skipped: 0 };
  const suite = readFileSync(NATIVE_REPORT, 'utf8').match(/<testsuite[^>]*>/)?.[0] ?? '';
  const count = (name) => Number(suite.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? 0);
  const failed = count('failures');
  const skipped = count('skipped') + count('disabled');
  return { passed: count('tests') - failed - skipped, failed, skipped };
}

function vitestCounts() {
  if (!existsSync(VITEST_REPORT)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(VITEST_REPORT, 'utf8'));
  return { passed: report.numPassedTests, failed: report.numFailedTests, skipped: report.numPendingTests };
}

function printCounts() {
  const [native, vitest] = [nativeCounts(), vitestCounts()];
  const sum = (name) => native[name] + vitest[name];
  console.log(`\ntotal: ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
}

function runStages(stages) {
  if (stages.includes('lint')) lint();
  if (stages.includes('native')) testNative();
  const projects = stages.filter((stage) => stage === 'unit' || stage === 'e2e');
  if (projects.length > 0) testTypeScript(projects, projects.length === 2);
}

await main(() => {
  const stages = process.argv.length > 2 ? process.argv.slice(2) : STAGES;
  const unknown = stages.filter((stage) => !STAGES.includes(stage));
  if (unknown.length > 0) throw new StepError(`no such stage: ${unknown.join(' ')}`, `there are: ${STAGES.join(' ')}`);
  setUp({ withTests: true });
  rmSync(REPORTS, { recursive: true, force: true });
  mkdirSync(REPORTS, { recursive: true });
  say(`stages: ${stages.join(', ')}`);
  try {
    runStages(stages);
  } finally {
    printCounts();
  }
});
