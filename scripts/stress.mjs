// npm run stress [-- TASK…]: other people's torture of an allocator, bare and under the library, which must not show.
//
//     cgo        the tests of Go's own cgo: the same ones pass
//     stress-ng  its stressors that allocate: none finds a fault
//     kills      1,000 SIGKILLs at random moments: the segment is right every time (test/e2e/killed.test.ts)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from './lib/debian.mjs';
import { findGo, goEnv } from './lib/go.mjs';
import { main, nodeBin, ROOT, run, StepError, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const LIBRARY = join(ROOT, 'out/native/lib/libcgoprof.so');
const RATES = [1, 524288];
const KILLS = 1000;
const LIMIT_MS = 300_000;

/** Threads of one of these programs that its end may have cut off, each while it booked a block. */
const MOST_THREADS = 64;

/** Calls `body` with a folder in memory that is gone afterwards. */
async function withFolder(body) {
  const folder = mkdtempSync('/dev/shm/cgoprof-stress-');
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs a program and returns how it ended and what it wrote; one that does not end is killed.
 *
 * @param {string[]} command
 */
function outcome(command, { cwd = ROOT, env = {} } = {}) {
  const [program, ...args] = command;
  const { error, status, signal, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  if (error && !signal) throw new StepError(`${program}: ${error.message}`);
  return { end: signal ?? `exit status ${status}`, stdout, stderr };
}

/** What the library is told, as environment variables. */
function settings(rate, folder, preload = [LIBRARY]) {
  return {
    LD_PRELOAD: preload.join(' '),
    CGOPROF_PROFILE: 'all',
    CGOPROF_RATE: `${rate}`,
    CGOPROF_DIR: folder,
    CGOPROF_KEEP: '1',
  };
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Reads what was recorded. @throws {StepError} unless something was, in exact mode, and nothing was lost */
async function checkRecorded(rate, folder) {
  const { native } = await import('../dist/native-binding.js'); // not at the top: the scripts build it first
  const segments = readdirSync(folder).map((name) => native.readSegment(join(folder, name)));
  if (segments.length === 0) throw new StepError('it ran without the library');
  for (const { header, buckets } of segments) {
    const { samples } = header;
    const { truncatedStacks, goBoundaryFailed, prunedSegments, ...losses } = header.counters;
    const unbooked = sum(buckets.map(({ allocs, frees }) => allocs - frees)) - header.liveSamples;
    if (sum(Object.values(losses)) > 0) throw new StepError(`samples were lost: ${JSON.stringify(losses)}`);
    if (Math.abs(unbooked) > MOST_THREADS) throw new StepError(`${unbooked} blocks are not in the live set`);
    if (rate === 1 && samples === 0) throw new StepError('no allocation was recorded');
    say(`  ${samples} samples, ${truncatedStacks} stacks cut off, ${goBoundaryFailed} not followed into Go`);
  }
}

// ---- Go's tests of cgo ----

/** Name → pass, fail or skip. */
function cgoTests(go, options) {
  const command = [go, 'test', '-count=1', '-json', ...options, 'cmd/cgo/internal/test'];
  const { stdout, stderr } = outcome(command, { cwd: join(goEnv(go, 'GOROOT'), 'src') });
  const events = stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
  const ends = events.filter(({ Action }) => ['pass', 'fail', 'skip'].includes(Action));
  if (ends.length < 2) throw new StepError(`go test ran no tests: ${stderr}`);
  return new Map(ends.map(({ Test = 'all', Action }) => [Test, Action]));
}

async function cgo() {
  const go = findGo();
  const bare = cgoTests(go, []);
  const count = (action) => [...bare.values()].filter((end) => end === action).length;
  say(`cgo, bare: ${count('pass')} pass, ${count('fail')} fail, ${count('skip')} are skipped`);
  for (const rate of RATES) {
    await withFolder(async (folder) => {
      const words = Object.entries(settings(rate, folder)).map(([name, value]) => `'${name}=${value}'`);
      const tests = cgoTests(go, ['-exec', `env ${words.join(' ')}`]);
      const names = [...new Set([...bare.keys(), ...tests.keys()])];
      const other = names.filter((name) => bare.get(name) !== tests.get(name));
      const list = other.map((name) => `${name}: ${bare.get(name)} bare, ${tests.get(name)} under the library`);
      if (other.length > 0) throw new StepError(`rate ${rate}: ${list.join('; ')}`);
      say(`cgo, rate ${rate}: the same`);
      await checkRecorded(rate, folder);
    });
  }
}

// ---- stress-ng ----

const STRESSORS = {
  malloc: ['--malloc-ops', '50021', '--malloc-pthreads', '4'],
  bigheap: ['--bigheap-ops', '503'],
  pthread: ['--pthread-ops', '101'],
  list: ['--list-ops', '11'],
  tree: ['--tree-ops', '1', '--tree-size', '1009'],
  tsearch: ['--tsearch-ops', '3'],
  judy: ['--judy-ops', '5'],
  fork: ['--fork-ops', '1009'],
};

/** The one whose work is to make processes. */
const FORKS = ['fork'];

/**
 * stress-ng does all work in children that execute nothing, and those are not recorded. With this every fork goes on as
 * the child, so that the process that is recorded is the one that works.
 */
const NO_CHILDREN = '#include <unistd.h>\npid_t fork(void) { return 0; }\n';

function compileNoChildren(folder) {
  const [source, library] = [join(folder, 'no_children.c'), join(folder, 'no_children.so')];
  writeFileSync(source, NO_CHILDREN);
  run(['cc', '-shared', '-fPIC', '-o', library, source]);
  return library;
}

async function stressNg() {
  ensurePackages(['stress']);
  await withFolder(async (folder) => {
    const noChildren = compileNoChildren(folder);
    for (const [name, options] of Object.entries(STRESSORS)) {
      const helpers = FORKS.includes(name) ? [] : [noChildren];
      const common = ['--verify', '--seed', '7919', '--timeout', '60', '--temp-path', folder];
      const command = ['stress-ng', ...common, `--${name}`, '1', ...options];
      const bare = outcome(command, { env: { LD_PRELOAD: helpers.join(' ') } });
      say(`stress-ng ${name}, bare: ${bare.end}`);
      if (bare.end !== 'exit status 0') throw new StepError(`it does not work without the library:\n${bare.stderr}`);
      for (const rate of RATES) await stressNgRecorded(name, command, bare.end, rate, helpers);
    }
  });
}

async function stressNgRecorded(name, command, expected, rate, helpers) {
  await withFolder(async (folder) => {
    const { end, stdout, stderr } = outcome(command, { env: settings(rate, folder, [LIBRARY, ...helpers]) });
    if (end !== expected) throw new StepError(`stress-ng ${name}, rate ${rate}: ${end}\n${stdout}${stderr}`);
    say(`stress-ng ${name}, rate ${rate}: the same`);
    await checkRecorded(rate, folder);
  });
}

// ---- Kills ----

function kills() {
  const env = { CGOPROF_KILLS: `${KILLS}` };
  run([nodeBin('vitest'), 'run', '--project', 'e2e', 'test/e2e/killed.test.ts'], { env });
}

const TASKS = { cgo, 'stress-ng': stressNg, kills };

await main(async () => {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(TASKS);
  const unknown = names.filter((name) => !(name in TASKS));
  const known = Object.keys(TASKS).join(' ');
  if (unknown.length > 0) throw new StepError(`no such task: ${unknown.join(' ')}`, `there are: ${known}`);
  setUp({ withTests: true });
  for (const name of names) await TASKS[name]();
});
