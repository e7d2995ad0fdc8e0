// npm run oracle [-- OPERATIONS]: exact mode against books that a program keeps about itself, to the byte.
//
// test/targets/oracle does OPERATIONS (10^8) random operations of the malloc family on 4 threads that free each other's
// blocks. Half-way and at the end it stands still; then `cgoprof heap --json` must say of every line what the books say,
// and that nothing was lost. A block whose free went past the recorder would be counted as missed when its address comes
// back. (test/e2e/oracle.test.ts is the short form.)
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildTarget } from './build-targets.mjs';
import { main, ROOT, StepError, say } from './lib/process.mjs';
import { readSites } from './lib/sites.mjs';
import { setUp } from './setup.mjs';

const CLI = [process.execPath, join(ROOT, 'dist/cli.js')];

/** Next books of the program, up to where it stands still. */
async function nextBooks(lines) {
  const books = { pid: 0, sites: new Map() };
  for (;;) {
    const { value: line, done } = await lines.next();
    if (done) throw new StepError('the program ended before its books did');
    const [word, ...rest] = line.split(' ');
    if (word === 'ready') return books;
    if (word === 'pid') books.pid = Number(rest[0]);
    if (word === 'site') books.sites.set(rest[0], rest.slice(1).map(Number));
  }
}

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
 * @param {{ tool?: readonly string[], env: NodeJS.ProcessEnv, onHalt?: (pid: number) => Promise<void> }} options tool: the words
 *   of the command line that stand for cgoprof
 * @returns {Promise<{ site: string, books: number[], reported: number[] }[][]>} per halt, per site
 */
export async function compareWithBooks(executable, operations, { tool = CLI, env, onHalt = async () => {} }) {
  const [program, ...words] = [...tool, 'run', '--rate', '1', '--', executable, String(operations)];
  const child = spawn(program, words, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const halts = [];
  try {
    for (let half = 1; half <= 2; half++) {
      const { pid, sites } = await nextBooks(lines);
      const report = heap(tool, pid, env);
      await onHalt(pid);
      halts.push(compare(sites, report));
      child.stdin.write('\n');
    }
  } finally {
    child.stdin.end();
  }
  const [code] = await exited;
  if (code !== 0) throw new StepError(`the program ended with ${code ?? 'a signal'}`);
  return halts;
}

/** @param {readonly string[]} tool */
function heap(tool, pid, env) {
  const [program, ...words] = tool;
  const text = execFileSync(program, [...words, 'heap', String(pid), '--go', 'none', '--json'], { env });
  const report = JSON.parse(text.toString());
  const losses = Object.entries(report.losses).map(([counter, count]) => `${counter} ${count}`);
  if (losses.length > 0) throw new StepError(`lost in exact mode: ${losses.join(', ')}`);
  return report;
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
