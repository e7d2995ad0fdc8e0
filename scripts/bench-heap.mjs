// npm run bench:heap: what `cgoprof heap` costs on a service as large as they get, and writes its section of docs/benchmarks.md.
//
// The target is test/targets/big: a binary above 50 MB with about 2,000 buckets. First time means an empty symbol cache,
// again means a full one; the file's pages are in memory both times, as those of a running service are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildTarget } from './build-targets.mjs';
import { replaceSection } from './lib/markdown.mjs';
import { capture, main, ROOT, run, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const CLI = join(ROOT, 'dist/cli.js');
const FOLDER = join(ROOT, 'out/bench-heap');
const REPORT = 'docs/benchmarks.md';
const RUNS = 7;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const seconds = (value) => `${value.toFixed(2)} s`;

/** Starts the target under cgoprof and hands its pid over once it has done its work; ends it afterwards. */
async function withTarget(executable, body) {
  const child = spawn(process.execPath, [CLI, 'run', '--rate', '1', '--', executable], {
    env: { ...process.env, CGOPROF_DIR: join(FOLDER, 'segments') },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('ready')) break;
    const { pid } = processes().find(({ state, command }) => state === 'running' && command === executable);
    body(pid);
  } finally {
    child.stdin.end('\n');
    await exited;
  }
}

const environment = () => ({ CGOPROF_DIR: join(FOLDER, 'segments'), XDG_CACHE_HOME: join(FOLDER, 'cache') });

function processes() {
  return JSON.parse(capture([process.execPath, CLI, 'ps', '--json'], { env: environment() }));
}

function timeHeap(pid) {
  const start = process.hrtime.bigint();
  const command = [process.execPath, CLI, 'heap', String(pid), '-o', join(FOLDER, 'big.pb.gz')];
  run(command, { env: environment(), quiet: true });
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function measure(pid) {
  const first = [];
  const again = [];
  for (let i = 0; i < RUNS; i++) {
    rmSync(join(FOLDER, 'cache'), { recursive: true, force: true });
    first.push(timeHeap(pid));
    again.push(timeHeap(pid));
  }
  return { first: median(first), again: median(again) };
}

function report(executable, { first, again }) {
  const megabytes = Math.round(statSync(executable).size / 1e6);
  return `Written by \`npm run bench:heap\`: wall time of the whole command, medians of ${RUNS}, on a program of ${megabytes} MB with
debug information and 2,000 buckets (test/targets/big). The program is not stopped: nothing but files is read, which
test/e2e/heap-reads-only.test.ts checks by the system calls.

| | time | must be below |
|---|---:|---:|
| first time | ${seconds(first)} | 2 s |
| again | ${seconds(again)} | 0.5 s |`;
}

await main(async () => {
  setUp({ withTests: false });
  const executable = buildTarget('big');
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  await withTarget(executable, (pid) => {
    say(`cgoprof heap ${pid}, ${RUNS} times each`);
    const times = measure(pid);
    replaceSection(join(ROOT, REPORT), '## `cgoprof heap`', report(executable, times));
    say(`first ${seconds(times.first)}, again ${seconds(times.again)}; written: ${REPORT}`);
  });
});
