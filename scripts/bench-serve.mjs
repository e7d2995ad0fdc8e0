// npm run bench:serve [-- --short]: what `cgoprof serve` costs, itself and the service behind it, and writes the section
// "Cost" of docs/serve.md.
//
// The target is test/targets/serve-load: as many C buckets as Go samples, each by a stack of 20 frames of its own. What is
// compared is measured in one run, by turns.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { buildTarget } from './build-targets.mjs';
import { replaceSection, table } from './lib/markdown.mjs';
import { main, ROOT, StepError, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const CLI = join(ROOT, 'dist/cli.js');
const PROBE = join(import.meta.dirname, 'lib/serve-probe.mjs');
const FOLDER = join(ROOT, 'out/bench-serve');
const REPORT = join(ROOT, 'docs/serve.md');

const SHORT = process.argv.includes('--short');
const LARGE = 10_000;
const SMALL = 101;
const WARM = SHORT ? 11 : 51;
const BATCHES = SHORT ? 3 : 9;
const PER_BATCH = 10;
/** Of a day, one every 10 s. */
const DAY = SHORT ? 864 : 8_640;
const PARALLEL = 1_000;

const HEAP = '/debug/pprof/heap';
const environment = { ...process.env, CGOPROF_DIR: join(FOLDER, 'segments'), XDG_CACHE_HOME: join(FOLDER, 'cache') };

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** What a process says first, up to a line that matches. */
async function saying(stream, pattern) {
  for await (const line of createInterface({ input: stream })) if (pattern.test(line)) return pattern.exec(line)[1];
  throw new StepError(`it ended without a word: ${pattern}`);
}

/** Starts the target, and the server before it; both end afterwards. @returns what `body` does */
async function withServer(count, body) {
  const words = [CLI, 'run', '--rate', '1', '--', buildTarget('serve-load'), String(count)];
  const target = spawn(process.execPath, words, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: target.stdout })[Symbol.asyncIterator]();
  const word = async (pattern) => pattern.exec((await lines.next()).value ?? '')?.[1];
  const pid = Number(await word(/^pid (\d+)$/));
  const go = await word(/^listening on (\S+)$/);
  await word(/^ready$/);
  const args = ['serve', String(pid), '--go', go, '--listen', '127.0.0.1:0'];
  const execArgv = ['--expose-gc', '--import', PROBE];
  const tool = fork(CLI, args, { env: environment, execArgv, stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  try {
    const url = await saying(tool.stderr, /listening on ([^;\s]+)/);
    return await body({ pid, go, url, tool });
  } finally {
    tool.kill();
    target.stdin.end('\n');
    await Promise.all([once(target, 'exit'), once(tool, 'exit')]);
  }
}

/** @returns the whole body; fails for any other status than 200 */
function scrape(url, agent) {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks);
        if (response.statusCode === 200) resolve(body);
        else reject(new StepError(`${url}: ${response.statusCode} ${body}`));
      });
    }).on('error', reject);
  });
}

/** CPU time of a process so far, ms: utime and stime, in ticks of 10 ms. */
function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  return { rss: field('VmRSS'), peak: field('VmHWM') };
}

const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;

async function probe(tool) {
  tool.send('');
  const [told] = await once(tool, 'message');
  return told;
}

async function measureWarm({ url, go, tool }) {
  const warmUp = now();
  const profile = Profile.decode(gunzipSync(await scrape(url + HEAP)));
  const first = now() - warmUp;
  for (let i = 0; i < 3; i++) await scrape(url + HEAP);
  await probe(tool);
  const times = [];
  const direct = [];
  for (let i = 0; i < WARM; i++) {
    const start = now();
    await scrape(go + HEAP);
    const between = now();
    await scrape(url + HEAP);
    direct.push(between - start);
    times.push(now() - between);
  }
  const { longestBlockMs } = await probe(tool);
  const { peak } = memory(tool.pid);
  const samples = profile.sample.length;
  return {
    samples,
    first,
    direct: median(direct),
    warm: median(times),
    slowest: Math.max(...times),
    longestBlockMs,
    peak,
  };
}

/** CPU of the target per scrape, ms: asked itself, and through us. */
async function measureTargetCpu({ pid, go, url }) {
  const perScrape = async (address) => {
    const before = cpuMs(pid);
    for (let i = 0; i < PER_BATCH; i++) await scrape(address + HEAP);
    return (cpuMs(pid) - before) / PER_BATCH;
  };
  const direct = [];
  const through = [];
  for (let i = 0; i < BATCHES; i++) {
    direct.push(await perScrape(go));
    through.push(await perScrape(url));
  }
  return { direct: median(direct), through: median(through) };
}

/** A thousand at once. The target's CPU tells how many snapshots were taken for them. */
async function measureParallel({ pid, url }, perSnapshot) {
  const before = cpuMs(pid);
  const start = now();
  const bodies = await Promise.all(Array.from({ length: PARALLEL }, () => scrape(url + HEAP)));
  const snapshots = new Set(bodies.map((body) => body.toString('latin1'))).size;
  return { seconds: (now() - start) / 1000, snapshots, cpuOf: (cpuMs(pid) - before) / perSnapshot };
}

/** A day of scrapes back to back: what the process holds in the first and in the last tenth. */
async function measureDay({ url, tool }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const tenths = [];
  for (let tenth = 0; tenth < 10; tenth++) {
    const heaps = [];
    const sizes = [];
    for (let i = 1; i <= DAY / 10; i++) {
      await scrape(url + HEAP, agent);
      if (i % Math.floor(DAY / 100) !== 0) continue;
      heaps.push((await probe(tool)).heapUsed);
      sizes.push(memory(tool.pid).rss);
    }
    tenths.push({ heap: median(heaps), rss: median(sizes), descriptors: descriptors(tool.pid) });
    say(`  ${(tenth + 1) * 10} %: JS heap ${mb(tenths.at(-1).heap)}, RSS ${mb(tenths.at(-1).rss)}`);
  }
  agent.destroy();
  return { first: tenths[0], last: tenths.at(-1) };
}

function report({ warm, cpu, parallel, day }) {
  return `Written by \`npm run bench:serve\` on a service with ${LARGE.toLocaleString('en')} C buckets and as many samples in its Go profile, each by a
stack of 20 frames of its own (test/targets/serve-load): ${warm.samples.toLocaleString('en')} samples merged.

${table(
  ['a warm scrape', 'measured', 'must be below'],
  [
    [`time, median of ${WARM}`, ms(warm.warm), '500 ms'],
    ['slowest of them', ms(warm.slowest), ''],
    ["the service's own net/http/pprof, asked by turns", ms(warm.direct), ''],
    ['the first scrape of all, with no symbols in memory', ms(warm.first), ''],
    ['peak RSS of the server', mb(warm.peak), '200 MB'],
    ['longest time for which its event loop was blocked', ms(warm.longestBlockMs), ''],
  ],
)}

${table(
  [`CPU of the service per scrape, medians of ${BATCHES} batches`, 'measured'],
  [
    ['asked itself', ms(cpu.direct)],
    ['asked through cgoprof', ms(cpu.through)],
    ['ratio', (cpu.through / cpu.direct).toFixed(2)],
  ],
)}

${PARALLEL.toLocaleString('en')} scrapes at once were answered from ${parallel.snapshots} snapshots within ${parallel.seconds.toFixed(1)} s; the service spent
on them what ${parallel.cpuOf.toFixed(1)} scrapes cost it.

A day of a scrape every 10 s, ${DAY.toLocaleString('en')} of them back to back, on a service of ${SMALL.toLocaleString('en')} buckets and samples; medians over a
tenth of them, the heap after a collection:

${table(
  ['of the server', 'first tenth', 'last tenth'],
  [
    ['JS heap', mb(day.first.heap), mb(day.last.heap)],
    ['RSS', mb(day.first.rss), mb(day.last.rss)],
    ['open descriptors', day.first.descriptors, day.last.descriptors],
  ],
)}`;
}

async function measureLarge(server) {
  say(`${WARM} warm scrapes`);
  const warm = await measureWarm(server);
  say(`  ${JSON.stringify(warm)}`);
  say('CPU of the service');
  const cpu = await measureTargetCpu(server);
  say(`  ${JSON.stringify(cpu)}`);
  say(`${PARALLEL} scrapes at once`);
  const parallel = await measureParallel(server, cpu.direct);
  say(`  ${JSON.stringify(parallel)}`);
  return { warm, cpu, parallel };
}

await main(async () => {
  setUp({ withTests: false });
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'segments'), { recursive: true, mode: 0o700 });
  const large = await withServer(LARGE, measureLarge);
  say(`${DAY} scrapes`);
  const day = await withServer(SMALL, measureDay);
  if (SHORT) return;
  replaceSection(REPORT, '## Cost', report({ ...large, day }));
  say('written: docs/serve.md');
});
