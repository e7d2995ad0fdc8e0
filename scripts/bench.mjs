// npm run bench [-- --short --library PATH]: what the recorder costs the program it is in, and other profilers
// beside it, → out/bench/recorder.json and a section of docs/benchmarks.md.
//
// Every figure is a difference from the bare program, or a ratio to it, in the same run. --short: every measurement once
// and on little, to see that all work; no document is written. --library: another build of libcgoprof.so, as it is, with
// nothing set up before; no document is written.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { countInstructions, inTurns, median, runWorkload, slope } from './lib/bench-measure.mjs';
import { buildPrograms } from './lib/bench-programs.mjs';
import { DOCUMENT, HEADING, section } from './lib/bench-report.mjs';
import { jemallocProfiles, makeTools } from './lib/bench-tools.mjs';
import { ensurePackages } from './lib/debian.mjs';
import { replaceSection } from './lib/markdown.mjs';
import { main, ROOT, StepError, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const FOLDER = join(ROOT, 'out/bench');
const LARGE_BLOCKS = 20_000;

const FULL = { rounds: 5, repeats: 3, pairs: 200_000, exactPairs: 100_000, threadPairs: 2_000_000, heldMib: 1024 };
const SHORT = { rounds: 1, repeats: 1, pairs: 20_000, exactPairs: 20_000, threadPairs: 200_000, heldMib: 16 };

/** Instructions of one more unit of work, medians of `repeats`; the long run is six times the short one. */
async function perUnit(bench, name, workload, units, { args = [], repeats = 1 } = {}) {
  const slopes = [];
  let live;
  for (let i = 0; i < repeats; i++) {
    const short = await countInstructions(bench, name, workload, [units, ...args]);
    const long = await countInstructions(bench, name, workload, [6 * units, ...args]);
    live = long.segment?.live;
    slopes.push(slope(short.total, long.total, 5 * units));
  }
  return { instructions: median(slopes), live };
}

/** `mix` at the default rate. A profiler built into an allocator is set against that allocator without it. */
async function measurePairs(bench) {
  const { pairs, repeats } = bench.scale;
  const plain = (name, args) => perUnit(bench, name, 'mix', pairs, { args });
  const sampling = (name, args) => perUnit(bench, name, 'mix', pairs, { args, repeats });
  const large = [1, LARGE_BLOCKS];
  say('mix: instructions a pair');
  return {
    bare: await plain('bare'),
    off: await plain('off'),
    cgoprof: await sampling('cgoprof'),
    bareLarge: await plain('bare', large),
    cgoprofLarge: await sampling('cgoprof', large),
    jemalloc: await plain('jemalloc'),
    jemallocProf: await sampling('jemallocProf'),
    tcmallocMinimal: await plain('tcmallocMinimal'),
    tcmalloc: await plain('tcmalloc'),
    tcmallocSampling: await sampling('tcmallocSampling'),
  };
}

/**
 * What the two hooks cost when nothing is sampled: their own instructions, without those of the real functions. null
 * where callgrind finds no such function, as in a library whose symbols it cannot read.
 */
async function measureHooks(bench) {
  say('mix: instructions of the hooks');
  const { pairs } = bench.scale;
  const short = await countInstructions(bench, 'unsampled', 'mix', [pairs]);
  const long = await countInstructions(bench, 'unsampled', 'mix', [2 * pairs]);
  const of = (hook) => {
    const [a, b] = [short, long].map(({ byFunction }) => byFunction.get(`libcgoprof.so:${hook}`));
    return a === undefined || b === undefined ? null : slope(a, b, pairs);
  };
  return { malloc: of('malloc'), free: of('free') };
}

/**
 * Inside Unwinder::Walk alone, over the frames that the segments say were walked: at the default rate, and exactly. null
 * where callgrind finds no such function.
 */
async function measureWalk(bench) {
  say('mix: instructions a frame');
  const perFrame = async (name, pairs) => {
    const within = 'cgoprof::Unwinder::Walk(*';
    const short = await countInstructions(bench, name, 'mix', [pairs], { within });
    const long = await countInstructions(bench, name, 'mix', [6 * pairs], { within });
    if (!short.segment || !long.segment) throw new StepError('mix was not recorded');
    const frames = long.segment.frames - short.segment.frames;
    const depth = frames / (long.segment.samples - short.segment.samples);
    return { instructions: long.total === 0 ? null : slope(short.total, long.total, frames), depth };
  };
  const { pairs } = bench.scale;
  return { sampled: await perFrame('cgoprof', pairs), exact: await perFrame('exact', pairs / 10) };
}

/**
 * Nanoseconds of one more pair, of the wall and of the process itself: the slope between a short run and one six times
 * as long. firstWall: of each of the first pairs, in which tools meet every stack.
 */
async function measureExact(bench) {
  const { exactPairs, rounds } = bench.scale;
  say(`mix: exact mode and others that record everything, ${rounds} rounds`);
  const timed = (pairs) => (name) => {
    const once = async () => {
      const { result: first } = await runWorkload(bench, name, 'mix', [exactPairs]);
      const { result: short } = await runWorkload(bench, name, 'mix', [pairs]);
      const { result: long } = await runWorkload(bench, name, 'mix', [6 * pairs]);
      const perPair = (clock) => slope(short[clock], long[clock], 5 * pairs);
      return { wall: perPair('wall'), cpu: perPair('cpu'), firstWall: first.wall / exactPairs };
    };
    return [name, once];
  };
  const quick = ['bare', 'exact'].map(timed(5 * exactPairs));
  const slow = ['jemallocExact', 'heapprofile', 'heaptrack', 'heaptrackAlone', 'memcheck', 'massif'];
  return inTurns(Object.fromEntries([...quick, ...slow.map(timed(exactPairs))]), rounds);
}

/** Pairs a microsecond, all threads together, on 2 threads and on 8. */
async function measureThreads(bench) {
  const { threadPairs, rounds } = bench.scale;
  say(`threads: 2 and 8, ${rounds} rounds`);
  const timed = (name, threads, pairs) => {
    const once = async () => {
      const { result } = await runWorkload(bench, name, 'mix', [pairs, threads]);
      return { throughput: (1000 * pairs) / result.wall };
    };
    return [`${name}${threads}`, once];
  };
  const variants = [2, 8].flatMap((threads) => [
    timed('bare', threads, threadPairs),
    timed('exact', threads, threadPairs),
    timed('heaptrackAlone', threads, threadPairs / 10),
  ]);
  return inTurns(Object.fromEntries(variants), rounds);
}

/** Resident memory of `held`, and the segment's, KiB. */
async function measureMemory(bench) {
  const { heldMib } = bench.scale;
  say(`held: memory with ${heldMib} MiB live in blocks of 64 bytes`);
  const rows = {};
  for (const name of ['bare', 'cgoprof', 'jemalloc', 'jemallocProf', 'tcmalloc', 'tcmallocSampling']) {
    const { result, segment } = await runWorkload(bench, name, 'held', [heldMib]);
    rows[name] = { own: result.kib, segment: (segment?.memory ?? 0) / 1024, samples: segment?.samples };
  }
  return rows;
}

/** The other workloads: instructions under cgoprof at the default rate over bare, medians of three. */
async function measureWorkloads(bench) {
  const { pairs, repeats } = bench.scale;
  const units = { handoff: pairs, cgo: pairs / 2, sqlite: pairs / 100, zstd: pairs / 10_000 };
  const rows = {};
  for (const [program, count] of Object.entries(units)) {
    say(`${program}: instructions`);
    const bare = await perUnit(bench, 'bare', program, count, { repeats });
    const on = await perUnit(bench, 'cgoprof', program, count, { repeats });
    rows[program] = { bare: bare.instructions, cgoprof: on.instructions };
  }
  return rows;
}

async function measureAll(bench) {
  const jemalloc = await runWorkload(bench, 'jemallocProf', 'mix', [1000]);
  const began = Date.now();
  const results = {
    jemallocProfiles: jemallocProfiles(jemalloc.stderr),
    pairs: await measurePairs(bench),
    hooks: await measureHooks(bench),
    walk: await measureWalk(bench),
    exact: await measureExact(bench),
    threads: await measureThreads(bench),
    memory: await measureMemory(bench),
    workloads: await measureWorkloads(bench),
  };
  return { ...results, scale: bench.scale, minutes: (Date.now() - began) / 60_000, load: loadavg()[2] };
}

await main(async () => {
  const { values } = parseArgs({ options: { short: { type: 'boolean' }, library: { type: 'string' } } });
  if (process.arch !== 'x64') throw new StepError('the library runs on amd64 only so far');
  if (!values.library) setUp({ withTests: false });
  ensurePackages(['accuracy', 'bench']);
  mkdirSync(FOLDER, { recursive: true });
  const library = values.library ? resolve(values.library) : join(ROOT, 'out/native/lib/libcgoprof.so');
  const temporary = mkdtempSync('/dev/shm/cgoprof-bench-');
  const places = { segments: join(temporary, 'segments'), scratch: join(temporary, 'scratch') };
  try {
    for (const folder of Object.values(places)) mkdirSync(folder, { mode: 0o700 });
    const bench = {
      tools: makeTools({ library, ...places }),
      programs: buildPrograms(),
      places,
      scale: values.short ? SHORT : FULL,
    };
    const results = await measureAll(bench);
    writeFileSync(join(FOLDER, 'recorder.json'), `${JSON.stringify(results, null, 2)}\n`);
    process.stdout.write(`${section(results)}\n`);
    if (values.short || values.library) return;
    replaceSection(join(ROOT, DOCUMENT), HEADING, section(results));
    say(`written: out/bench/recorder.json, ${DOCUMENT}`);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
});
