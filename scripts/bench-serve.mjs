// npm run bench:serve [-- --short]: what `cgoprof serve` costs, itself and the service behind it, and writes the section
// "Cost" of docs/serve.md; the short form writes nothing. Fails where a limit is not kept.
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
import { replaceSection } from './lib/markdown.mjs';
import { main, ROOT, StepError, say } from './lib/process.mjs';
import { missed, section } from './lib/serve-report.mjs';
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
/** Of a day, one every 10 s. */
const DAY = SHORT ? 864 : 8_640;
const PARALLEL = 1_000;

const HEAP = '/debug/pprof/heap';
const environment = { ...process.env, CGOPROF_DIR: join(FOLDER, 'segments'), XDG_CACHE_HOME: join(FOLDER, 'cache') };

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
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
    times: WARM,
    first,
    direct: median(direct),
    warm: median(times),
    slowest: Math.max(...times),
    longestBlockMs,
    peak,
  };
}

/** What asks the service for a profile, what it is compared with, and how often in a batch. */
const PAGES = {
  heap: { what: 'a heap profile', direct: HEAP, through: HEAP, times: 10 },
  text: { what: 'its text, `?debug=1`', direct: `${HEAP}?debug=1`, through: `${HEAP}?debug=1`, times: 1 },
  index: { what: 'the index, over a heap profile', direct: HEAP, through: '/debug/pprof/', times: 10 },
};

/** CPU of the target per answer, ms: asked itself, and through us. */
async function measureTargetCpu({ pid, go, url }, { what, times, ...paths }) {
  const perAnswer = async (address) => {
    const before = cpuMs(pid);
    for (let i = 0; i < times; i++) await scrape(address);
    return (cpuMs(pid) - before) / times;
  };
  const direct = [];
  const through = [];
  for (let i = 0; i < BATCHES; i++) {
    direct.push(await perAnswer(go + paths.direct));
    through.push(await perAnswer(url + paths.through));
  }
  return { what, direct: median(direct), through: median(through), ratio: median(through) / median(direct) };
}

/** A thousand at once. The target's CPU tells how many snapshots were taken for them. */
async function measureParallel({ pid, url }, perSnapshot) {
  const before = cpuMs(pid);
  const start = now();
  const answers = await Promise.all(Array.from({ length: PARALLEL }, () => scrape(url + HEAP)));
  const bodies = new Set(answers.map((body) => body.toString('latin1'))).size;
  return { count: PARALLEL, seconds: (now() - start) / 1000, bodies, cpuOf: (cpuMs(pid) - before) / perSnapshot };
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
  return { scrapes: DAY, sites: SMALL, tenths };
}

async function measureLarge(server) {
  const told = async (what, measured) => {
    say(what);
    const result = await measured;
    say(`  ${JSON.stringify(result)}`);
    return result;
  };
  const { pid } = server.tool;
  const warm = await told(`${WARM} warm scrapes`, measureWarm(server));
  const heap = await told('CPU of the service', measureTargetCpu(server, PAGES.heap));
  const parallel = await told(`${PARALLEL} scrapes at once`, measureParallel(server, heap.direct));
  const { peak } = memory(pid);
  const index = await told('CPU of the service for the index', measureTargetCpu(server, PAGES.index));
  const text = await told('and for text', measureTargetCpu(server, PAGES.text));
  const peaks = { parallel: peak, text: memory(pid).peak };
  return { large: LARGE, batches: BATCHES, warm, cpu: { heap, text, index }, parallel, peaks };
}

await main(async () => {
  setUp({ withTests: false });
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'segments'), { recursive: true, mode: 0o700 });
  const large = await withServer(LARGE, measureLarge);
  say(`${DAY} scrapes`);
  const day = await withServer(SMALL, measureDay);
  const results = { ...large, day };
  process.stdout.write(`${section(results)}\n`);
  if (!SHORT) replaceSection(REPORT, '## Cost', section(results));
  const notKept = missed(results);
  if (notKept.length > 0) throw new StepError(notKept.join('; '));
});
