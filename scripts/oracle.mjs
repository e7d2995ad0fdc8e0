// npm run oracle [-- OPERATIONS]: exact mode against books that a program keeps about itself, to the byte.
//
// test/targets/oracle does OPERATIONS (10^8) random operations of the malloc family on 4 threads that free each other's
// blocks. Half-way and at the end it stands still; then `cgoprof heap --json` must say of every line what the books say,
// and that nothing was lost. A block whose free went past the recorder would be counted as missed when its address comes
// back. (test/e2e/oracle.test.ts is the short form.)
import { mkdtempSync, rmSync } from 'node:fs';
import { buildTarget } from './build-targets.mjs';
import { HaltingTarget } from './lib/halting-target.mjs';
import { main, StepError, say } from './lib/process.mjs';
import { readSites } from './lib/sites.mjs';
import { setUp } from './setup.mjs';

/** What the tool says of each site, in the order of the books: blocks and bytes allocated, and those in use. */
function asReported({ sites: reported }, { path, line }) {
  const at = reported.filter((one) => one.file === path && one.line === line);
  const sum = (pick) => at.reduce((total, one) => total + pick(one).estimate, 0);
  return [
    sum(({ allocated }) => allocated.objects),
    sum(({ allocated }) => allocated.bytes),
    sum(({ inUse }) => inUse.objects),
    sum(({ inUse }) => inUse.bytes),
  ];
}

/**
 * Runs the program, and compares at both of its halts.
 *
 * @param {string} executable
 * @param {number} operations
 * @param {{ tool?: readonly string[], env: NodeJS.ProcessEnv, onHalt?: (pid: number) => Promise<void> }} options tool: as
 *   for HaltingTarget
 * @returns {Promise<{ site: string, books: number[], reported: number[] }[][]>} per halt, per site
 */
export async function compareWithBooks(executable, operations, { onHalt = async () => {}, ...options }) {
  const target = new HaltingTarget([executable, String(operations)], { rate: 1, ...options });
  const halts = [];
  try {
    for (let half = 1; half <= 2; half++) {
      const books = new Map((await target.halt()).map(([site, ...amounts]) => [site, amounts.map(Number)]));
      halts.push(compare(books, target.heap()));
      await onHalt(target.pid);
      target.goOn();
    }
  } finally {
    await target.end();
  }
  return halts;
}

function compare(books, report) {
  const sites = readSites('oracle');
  if (sites.length !== books.size) throw new StepError(`${sites.length} sites, but ${books.size} in the books`);
  return sites.map((site) => ({
    site: site.name,
    books: books.get(site.name),
    reported: asReported(report, site),
  }));
}

const number = (value) => value.toLocaleString('en-US');

/** One halt as a table; with both numbers where they differ. @returns the number of differences */
function print(title, rows) {
  const isSame = ({ books, reported }) => books.every((value, i) => value === reported[i]);
  say(`${title}: blocks and bytes allocated, blocks and bytes in use`);
  for (const row of rows) {
    say(`  ${[row.site.padEnd(24), ...row.books.map((value) => number(value).padStart(18))].join(' ')}`);
    if (!isSame(row))
      say(`  ${['  cgoprof says'.padEnd(24), ...row.reported.map((v) => number(v).padStart(18))].join(' ')}`);
  }
  return rows.filter((row) => !isSame(row)).length;
}

async function fromCommandLine() {
  const operations = Number(process.argv[2] ?? 1e8);
  if (!Number.isInteger(operations) || operations < 2) throw new StepError('OPERATIONS is a whole number above 1');
  setUp({ withTests: false });
  const executable = buildTarget('oracle');
  const folder = mkdtempSync('/dev/shm/cgoprof-oracle-');
  try {
    say(`${number(operations)} operations on 4 threads, each of them recorded`);
    const start = Date.now();
    const halts = await compareWithBooks(executable, operations, { env: { ...process.env, CGOPROF_DIR: folder } });
    const differences = halts.map((rows, i) => print(['half-way', 'at the end'][i], rows));
    if (differences.some(Boolean)) throw new StepError(`${differences.join(' and ')} lines differ from the books`);
    say(`no difference, nothing missed or dropped; ${Math.round((Date.now() - start) / 1000)} s`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) await main(fromCommandLine);
