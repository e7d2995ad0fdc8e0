// npm run accuracy [-- RUNS]: measures cgoprof against known truth and against other tools, and writes docs/accuracy.md.
//
// Exact mode: one run of test/targets/accuracy, beside valgrind's and heaptrack's view of the same program. Default rate:
// RUNS (100) runs of test/targets/sites5, whose mean must lie near the truth by its own standard error. Intervals: 2 × RUNS
// rounds of test/targets/sites-mix, and how many of them hold the truth.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildTarget } from './build-targets.mjs';
import { measureCoverage } from './lib/coverage.mjs';
import { ensurePackages } from './lib/debian.mjs';
import { findGo } from './lib/go.mjs';
import { capture, main, ROOT, run, StepError, say } from './lib/process.mjs';
import { inUseBytes, readSites } from './lib/sites.mjs';
import { setUp } from './setup.mjs';

const CLI = join(ROOT, 'dist/cli.js');
const FOLDER = join(ROOT, 'out/accuracy');
const REPORT = 'docs/accuracy.md';

/** Sites that allocate through the one C wrapper of C.malloc: tools that see no Go lines cannot tell them apart. */
const BEHIND_ONE_WRAPPER = ['cstring', 'cmalloc'];
const WRAPPER = /_Cfunc__Cmalloc/;

async function byCgoprof(executable, sites, options = []) {
  const profile = join(FOLDER, 'run.pb.gz');
  run([process.execPath, CLI, 'run', ...options, '-o', profile, '--', executable], { quiet: true });
  return inUseBytes(profile, sites);
}

/** memcheck's leak records: bytes of those whose stack has the site's line. */
function byValgrind(executable, sites) {
  const report = join(FOLDER, 'valgrind.xml');
  const options = ['--leak-check=full', '--show-leak-kinds=all', '--xml=yes', `--xml-file=${report}`];
  run(['valgrind', ...options, executable], { quiet: true });
  const records = readFileSync(report, 'utf8').match(/<error>.*?<\/error>/gs) ?? [];
  const leaks = records.flatMap((record) => {
    const bytes = record.match(/<leakedbytes>(\d+)/)?.[1];
    return bytes ? [{ bytes: Number(bytes), stack: record }] : [];
  });
  const isAt = ({ path, line }, { stack }) =>
    stack.includes(`<file>${path.split('/').at(-1)}</file>\n      <line>${line}</line>`);
  return sumBySite(sites, leaks, isAt);
}

/**
 * heaptrack's leaked bytes by folded stack, which has functions and no lines: each live site has a function of its own.
 * It interposes dlopen, which hides the executable's RUNPATH from the loader, and writes its last records in an exit
 * handler: the program must be helped with both.
 */
function byHeaptrack(executable, sites) {
  const recording = join(FOLDER, 'heaptrack');
  const folded = join(FOLDER, 'heaptrack.folded');
  run(['heaptrack', '-o', recording, executable, 'exit-handlers'], {
    env: { LD_LIBRARY_PATH: dirname(executable) },
    quiet: true,
  });
  run(['heaptrack_print', '-f', `${recording}.zst`, '--flamegraph-cost-type', 'leaked', '-F', folded], { quiet: true });
  const rows = readFileSync(folded, 'utf8').trimEnd().split('\n');
  const leaks = rows.map((row) => ({ bytes: Number(row.split(' ').at(-1)), stack: row }));
  return sumBySite(sites, leaks, (site, { stack }) => site.live && stack.includes(`${site.function} (`));
}

function sumBySite(sites, leaks, isAt) {
  const sum = (rows) => rows.reduce((total, { bytes }) => total + bytes, 0);
  const wrapped = sum(leaks.filter(({ stack }) => WRAPPER.test(stack)));
  return sites.map((site) =>
    BEHIND_ONE_WRAPPER.includes(site.name) ? { both: wrapped } : sum(leaks.filter((leak) => isAt(site, leak))),
  );
}

const total = (column) => {
  const both = column.find((cell) => typeof cell === 'object')?.both ?? 0;
  return column.reduce((sum, cell) => sum + (typeof cell === 'object' ? 0 : cell), both);
};
const number = (value) => Math.round(value).toLocaleString('en-US');
const cell = (value) => (typeof value === 'object' ? `(${number(value.both)} for both)` : number(value));

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

async function exactTable() {
  const executable = buildTarget('accuracy');
  const sites = readSites('accuracy');
  say('exact mode: cgoprof, valgrind, heaptrack');
  const columns = [
    sites.map((site) => (site.live ? site.bytes : 0)),
    await byCgoprof(executable, sites, ['--rate', '1']),
    byValgrind(executable, sites),
    byHeaptrack(executable, sites),
  ];
  const rows = sites.map((site, i) => [site.name, ...columns.map((column) => cell(column[i]))]);
  const totals = ['**total**', ...columns.map((column) => number(total(column)))];
  return table(['site', 'truth', 'cgoprof', 'valgrind', 'heaptrack'], [...rows, totals]);
}

function moments(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance };
}

function summarize(estimates, truth) {
  const { mean, variance } = moments(estimates);
  const error = Math.sqrt(variance / estimates.length);
  return { mean, error, distance: Math.abs(mean - truth) / error };
}

async function sampledTable(runs) {
  const executable = buildTarget('sites5');
  const sites = readSites('sites5');
  const estimates = [];
  for (let i = 1; i <= runs; i++) {
    if (i % 10 === 0) say(`default rate: run ${i} of ${runs}`);
    estimates.push(await byCgoprof(executable, sites));
  }
  const rows = sites.map((site, i) => {
    const { mean, error, distance } = summarize(
      estimates.map((row) => row[i]),
      site.bytes,
    );
    const values = [site.bytes / site.blocks, site.blocks, site.bytes, mean, error];
    return [site.name, ...values.map(number), distance.toFixed(2)];
  });
  const head = [
    'site',
    'block size',
    'blocks',
    'truth',
    'mean',
    'standard error',
    '\\|mean − truth\\| / standard error',
  ];
  return table(head, rows);
}

const share = (estimates, isIn) => (100 * estimates.filter(isIn).length) / estimates.length;

/** How many of the intervals hold the truth, in per cent: as stated, and as they would be without thinking. */
function coverage({ estimates, truth }) {
  return {
    stated: share(estimates, ({ low, high }) => low <= truth && truth <= high),
    normal: share(estimates, ({ estimate, standardError }) => Math.abs(estimate - truth) <= 1.96 * standardError),
  };
}

/** The standard error that was stated, in the mean, over the spread that was found. */
function statedToFound({ estimates }) {
  const { variance } = moments(estimates.map(({ estimate }) => estimate));
  const stated = estimates.reduce((sum, { standardError }) => sum + standardError ** 2, 0) / estimates.length;
  return Math.sqrt(stated / variance);
}

function intervalRow(row) {
  const values = row.estimates.map(({ estimate }) => estimate);
  const { mean, distance } = summarize(values, row.truth);
  const { stated, normal } = coverage(row);
  const size = row.size === 0 ? '8 to 8,388,617' : number(row.size);
  const isCertain = new Set(values).size === 1;
  const spread = isCertain ? ['–', '–'] : [distance.toFixed(2), statedToFound(row).toFixed(2)];
  const perCent = [stated, normal].map((value) => `${value.toFixed(1)} %`);
  return [size, number(row.blocks), number(row.truth), number(mean), ...spread, ...perCent];
}

async function intervals(rounds) {
  const folder = mkdtempSync('/dev/shm/cgoprof-accuracy-');
  const onRound = (round) => round % 20 === 0 && say(`intervals: round ${round} of ${rounds}`);
  try {
    const env = { ...process.env, CGOPROF_DIR: folder };
    const rows = await measureCoverage(buildTarget('sites-mix'), rounds, { env, onRound });
    const head = ['block size', 'blocks', 'truth', 'mean', 'distance', 'stated / found', 'covered', '± 1.96'];
    const uncertain = rows.filter(({ estimates }) => new Set(estimates.map(({ estimate }) => estimate)).size > 1);
    const all = uncertain.reduce((sum, row) => sum + coverage(row).stated, 0) / uncertain.length;
    return { table: table(head, rows.map(intervalRow)), all, perSize: rows[0].estimates.length };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const version = (command) => capture(command).trim().split('\n')[0];

function report(exact, sampled, interval, runs) {
  return `# Accuracy

Written by \`npm run accuracy\`, with ${version([findGo(), 'version'])}, ${version(['valgrind', '--version'])} and
${version(['heaptrack', '--version'])}. All numbers are bytes.

## Exact mode

\`cgoprof run --rate 1 -o run.pb.gz -- out/targets/accuracy/accuracy\`: bytes in use at the end, per source line. The truth
is written beside the code, in \`test/targets/accuracy/sites.json\`; sites with truth 0 free what they allocate, some of them
on another thread.

${exact}

- valgrind is memcheck with \`--leak-check=full --show-leak-kinds=all\`; heaptrack's are leaked bytes per function.
- Neither sees Go callers: what Go allocates by \`C.CString\` and \`C.malloc\` is one number for the whole program.
- heaptrack needs help to run this program to its end: it interposes dlopen, so the loader no longer finds a library by
  the executable's RUNPATH ($ORIGIN; here LD_LIBRARY_PATH makes up for it), and it writes its last records in an exit
  handler, which a Go program never runs (here the program leaves by C's \`exit\`).

A program of known bytes shows that every kind of call is counted; that none is lost under load, \`npm run oracle\` shows:
10^8 random operations of the malloc family on 4 threads that free each other's blocks, compared line by line with books
that the program keeps. It fails at a difference of one byte or block, or of one missed free.

## Default rate

\`cgoprof run -o run.pb.gz -- out/targets/sites5/sites5\`, ${runs} times: one sample per 512 KiB on average. An unbiased
estimate has its mean within 2 standard errors of the truth, but for one time in twenty.

${sampled}

## Intervals

\`cgoprof heap --json\` states the standard error of each estimate and an interval that is to cover the truth in 95 % of
cases; the formulas are in \`src/merge/site-estimates.ts\`. Here the program \`test/targets/sites-mix\` allocates the same
in ${2 * runs} rounds, each time after it has freed everything, and is looked at in each. It has five functions for each
size of blocks: ${number(interval.perSize)} estimates of bytes in use per size. They are independent, though the process is the same:
whether a block is sampled depends on no other block, and nothing of a round is in use in the next.

${interval.table}

- distance: |mean − truth| in standard errors of the mean, as above: by chance beyond 2 in one row of twenty.
- stated / found: the standard error that is stated (root mean square), over the standard deviation of the estimates.
- covered: the share of stated intervals that hold the truth; ${interval.all.toFixed(1)} % over all sizes but the biggest. By chance alone a
  share of 95 % shows as up to ${(196 * Math.sqrt((0.95 * 0.05) / interval.perSize)).toFixed(1)} points more or less.
- ± 1.96: the share that the estimate ± 1.96 standard errors would hold: too few, where there are few samples.
- Blocks of 8 MiB are never missed, so nothing is left to estimate; the interval is less than one block wide and always
  right. The last row's blocks are of ten sizes, all allocated by one line.
`;
}

await main(async () => {
  const runs = Number(process.argv[2] ?? 100);
  if (!Number.isInteger(runs) || runs < 2) throw new StepError('RUNS is a whole number above 1');
  setUp({ withTests: false });
  ensurePackages(['accuracy']);
  mkdirSync(FOLDER, { recursive: true });
  const text = report(await exactTable(), await sampledTable(runs), await intervals(2 * runs), runs);
  mkdirSync(join(ROOT, dirname(REPORT)), { recursive: true });
  writeFileSync(join(ROOT, REPORT), text);
  say(`written: ${REPORT}`);
});
