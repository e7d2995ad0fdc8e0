// npm run demo: shows in one screen what cgoprof is for, on a service that leaks in C and in Go.
//
// Builds examples/leaky-api, starts it under `cgoprof run`, sends it load, takes one merged profile and lets
// `go tool pprof` show it. Sets everything up first, so it can be the first command in a fresh checkout.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findGo } from './lib/go.mjs';
import { capture, main, ROOT, run, StepError, say } from './lib/process.mjs';
import { unlessUpToDate } from './lib/up-to-date.mjs';
import { setUp } from './setup.mjs';

const EXAMPLE = 'examples/leaky-api';
const SERVER = 'out/demo/leaky-api';
const PROFILE = 'merged.pb.gz';
const LEAKING_C_FUNCTION = 'fragment_cache_put';
const CLI = join(ROOT, 'dist/cli.js');

const REQUESTS = 8000;
const CONCURRENCY = 8;

function buildServer(go) {
  unlessUpToDate({ name: 'demo', inputs: [EXAMPLE], outputs: [SERVER], facts: [capture([go, 'version'])] }, () => {
    say(`go build: ${EXAMPLE} → ${SERVER}`);
    mkdirSync(join(ROOT, 'out/demo'), { recursive: true });
    run([go, 'build', '-buildvcs=false', '-o', join(ROOT, SERVER), '.'], { cwd: join(ROOT, EXAMPLE) });
  });
}

/** Starts the server under cgoprof. Resolves with its pid and base URL once it listens. */
async function startServer() {
  const child = spawn(process.execPath, [CLI, 'run', '--', `./${SERVER}`], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const [, pid, url] = line.match(/pid (\d+) listening on (\S+)/) ?? [];
    if (pid) return { child, ended, pid, url };
  }
  throw new StepError(`the server did not start: exit status ${await ended}`);
}

/** A document of 2 to 6 KiB that differs with every number. */
function markdownDocument(number) {
  const paragraph = (i) => `Draft ${number}, paragraph ${i}: memory that grows & nobody knows why. `.repeat(6);
  const paragraphs = Array.from({ length: 5 + (number % 11) }, (_, i) => paragraph(i));
  return [`# Release notes ${number}`, ...paragraphs].join('\n\n');
}

/** Sends REQUESTS documents, CONCURRENCY at a time: three previews, which leak, to one word count, which does not. */
async function sendLoad(url) {
  let next = 0;
  const client = async () => {
    while (next < REQUESTS) {
      const number = next++;
      const path = number % 4 === 3 ? '/wordcount' : '/preview';
      const response = await fetch(url + path, { method: 'POST', body: markdownDocument(number) });
      if (!response.ok) throw new StepError(`${path}: ${response.status} ${await response.text()}`);
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, client));
}

/** Prints a command as a person would type it, runs it, and prints what it says. */
function show(typed, command) {
  console.log(`\n$ ${typed}`);
  process.stdout.write(capture(command));
}

function showProfile(go, pid, url) {
  const goHeap = ['--go', url, '--gc', '-o', PROFILE];
  show(`cgoprof heap ${pid} ${goHeap.join(' ')}`, [process.execPath, CLI, 'heap', pid, ...goHeap]);
  const pprof = (...options) =>
    show(`go tool pprof ${options.join(' ')} ${PROFILE}`, [go, 'tool', 'pprof', ...options, PROFILE]);
  pprof('-top', '-nodecount=8');
  pprof('-list', LEAKING_C_FUNCTION);
}

function explain() {
  console.log(`
What you see: C and Go in one profile. Go's own heap profile has only the drafts (main._Cfunc_GoString made them);
the cache in C (fragment_cache_put) and the C.CString that nobody frees hold the rest, and that is C memory.

The profile is ${PROFILE}. Look at it with`);
  const views = {
    '-http=:': 'the graph, in a browser',
    [`-peek ${LEAKING_C_FUNCTION}`]: 'who called it: the Go lines',
    '-top -tagroot=allocator': 'how much is C, how much is Go',
  };
  for (const [options, what] of Object.entries(views)) {
    console.log(`  go tool pprof ${`${options} ${PROFILE}`.padEnd(42)} ${what}`);
  }
}

await main(async () => {
  setUp({ withTests: false });
  const go = findGo();
  buildServer(go);
  say(`starting ${SERVER} under cgoprof`);
  const server = await startServer();
  try {
    say(`sending ${REQUESTS} requests to ${server.url}`);
    await sendLoad(server.url);
    showProfile(go, server.pid, server.url);
    explain();
  } finally {
    server.child.kill('SIGTERM');
    await server.ended;
  }
});
