// The section of docs/benchmarks.md that `npm run bench` writes: what was measured, against what was asked.
import { cpus } from 'node:os';
import { findGo } from './go.mjs';
import { table } from './markdown.mjs';
import { capture } from './process.mjs';

export const DOCUMENT = 'docs/benchmarks.md';
export const HEADING = '## The recorder, in whole programs';

const fixed = (value, digits = 1) => value.toLocaleString('en-US', { maximumFractionDigits: digits });
const percent = (ratio) => `${(100 * ratio).toFixed(2)} %`;
const mebibytes = (kib) => `${fixed(kib / 1024)} MiB`;

const added = (rows, name, base) => rows[name].instructions - rows[base].instructions;
const over = ({ bare, cgoprof }) => cgoprof / bare - 1;
const memoryOf = (row) => row.own + row.segment;

/** What callgrind could not count, because it read no symbols of the library, must not look like nothing. */
const counted = (value) => (value === null ? 'not measured: callgrind reads no symbols of this library' : fixed(value));

/** One row: figure, limit, and whether it is kept, by the figure as it is shown. */
function judged(what, value, limit, show, { atLeast = false } = {}) {
  const wanted = `${atLeast ? '≥' : '≤'} ${show(limit)}`;
  if (value === null) return [what, counted(value), wanted, '?'];
  const met = show(value) === show(limit) || (atLeast ? value > limit : value < limit);
  return [what, show(value), wanted, met ? 'yes' : '**no**'];
}

function targets({ scale, pairs, hooks, walk, exact, threads, memory, workloads }) {
  const perPair = (value) => `${fixed(value)} instructions`;
  const times = (value) => `${fixed(value)} ×`;
  const large = added(pairs, 'cgoprofLarge', 'bareLarge');
  const live = fixed(pairs.cgoprofLarge.live, 0);
  return table(
    ['what', 'measured', 'must be', 'met'],
    [
      judged('added a pair, 512 KiB, samples included', added(pairs, 'cgoprof', 'bare'), 14, perPair),
      judged(`the same, with ${live} live samples`, large, 18, perPair),
      judged('added a pair, switched off', added(pairs, 'off', 'bare'), 12, perPair),
      judged(
        `exact mode: what heaptrack adds to each of the first ${fixed(scale.exactPairs, 0)} pairs, over what ours does`,
        overOurs(exact, 'heaptrack', 'firstWall'),
        10,
        times,
        { atLeast: true },
      ),
      judged('the same, to each further pair', overOurs(exact, 'heaptrack'), 10, times, { atLeast: true }),
      judged('exact mode: ns a pair, wall (an aim)', exact.exact.wall, 300, (value) => `${fixed(value, 0)} ns`),
      judged(`a frame of a warm walk, ${fixed(walk.sampled.depth)} frames`, walk.sampled.instructions, 40, perPair),
      judged('free of an unsampled block', hooks.free, 10, perPair),
      judged(
        'memory added, 1 GiB in 64-byte blocks',
        memoryOf(memory.cgoprof) - memoryOf(memory.bare),
        8192,
        mebibytes,
      ),
      judged('sqlite, instructions over bare', over(workloads.sqlite), 0.01, percent),
      judged('zstd, instructions over bare', over(workloads.zstd), 0.01, percent),
      judged(
        'exact mode, 8 threads: throughput of 2',
        threads.exact8.throughput / threads.exact2.throughput,
        0.8,
        percent,
        {
          atLeast: true,
        },
      ),
    ],
  );
}

function pairsTable({ pairs, jemallocProfiles }) {
  const row = (what, name, base, note = '') => [
    what,
    fixed(pairs[name].instructions),
    base ? `${fixed(added(pairs, name, base))}${note}` : '',
  ];
  const unsupported = jemallocProfiles ? '' : ' (**this jemalloc is built without its profiler**)';
  return table(
    ['`mix`', 'instructions a pair', 'added'],
    [
      row('bare glibc', 'bare'),
      row('cgoprof, switched off', 'off', 'bare'),
      row('cgoprof, 512 KiB', 'cgoprof', 'bare'),
      row('bare glibc, 20,000 large blocks live', 'bareLarge'),
      row('cgoprof, 512 KiB, those blocks sampled', 'cgoprofLarge', 'bareLarge'),
      row('jemalloc', 'jemalloc'),
      row('jemalloc, `prof:true,lg_prof_sample:19`', 'jemallocProf', 'jemalloc', unsupported),
      row('tcmalloc_minimal (built without profilers)', 'tcmallocMinimal'),
      row('tcmalloc', 'tcmalloc', 'tcmallocMinimal'),
      row('tcmalloc, `TCMALLOC_SAMPLE_PARAMETER=524288`', 'tcmallocSampling', 'tcmallocMinimal'),
    ],
  );
}

/** What a tool adds to a pair, over what ours adds in exact mode. */
const overOurs = (exact, name, clock = 'wall') =>
  (exact[name][clock] - exact.bare[clock]) / (exact.exact[clock] - exact.bare[clock]);

function exactTable({ exact, jemallocProfiles }) {
  const row = (what, name) => [
    what,
    ...['wall', 'cpu'].flatMap((clock) => [
      fixed(exact[name][clock], 0),
      name === 'bare' ? '' : `${fixed(overOurs(exact, name, clock))} ×`,
    ]),
  ];
  return table(
    [
      '`mix`, every allocation',
      'ns a pair, wall',
      'added, against ours',
      'ns a pair, own processor time',
      'added, against ours',
    ],
    [
      row('bare glibc', 'bare'),
      row('cgoprof, exact mode', 'exact'),
      row('heaptrack', 'heaptrack'),
      row('heaptrack’s library alone, into /dev/null', 'heaptrackAlone'),
      row(`jemalloc, \`lg_prof_sample:0\`${jemallocProfiles ? '' : ' (no profiler built in)'}`, 'jemallocExact'),
      row('tcmalloc, `HEAPPROFILE`', 'heapprofile'),
      row('valgrind memcheck', 'memcheck'),
      row('valgrind massif', 'massif'),
    ],
  );
}

function threadsTable({ threads }) {
  const row = (what, name) => {
    const [two, eight] = [threads[`${name}2`].throughput, threads[`${name}8`].throughput];
    return [what, fixed(two, 2), fixed(eight, 2), percent(eight / two)];
  };
  return table(
    ['`mix` on threads, pairs a µs, all together', '2 threads', '8 threads', '8 over 2'],
    [
      row('bare glibc', 'bare'),
      row('cgoprof, exact mode', 'exact'),
      row('heaptrack’s library alone, into /dev/null', 'heaptrackAlone'),
    ],
  );
}

function memoryTable({ memory, scale }) {
  const row = (what, name, base) => [
    what,
    mebibytes(memory[name].own),
    mebibytes(memory[name].segment),
    base ? mebibytes(memoryOf(memory[name]) - memoryOf(memory[base])) : '',
  ];
  return table(
    [`${fixed(scale.heldMib, 0)} MiB live in blocks of 64 bytes`, 'resident', 'segment', 'added'],
    [
      row('bare glibc', 'bare'),
      row('cgoprof, 512 KiB', 'cgoprof', 'bare'),
      row('jemalloc', 'jemalloc'),
      row('jemalloc, `prof:true,lg_prof_sample:19`', 'jemallocProf', 'jemalloc'),
      row('tcmalloc', 'tcmalloc'),
      row('tcmalloc, `TCMALLOC_SAMPLE_PARAMETER=524288`', 'tcmallocSampling', 'tcmalloc'),
    ],
  );
}

const UNITS = { handoff: 'a block', cgo: 'a call', sqlite: 'a row', zstd: 'a round trip of 64 KiB' };

function workloadsTable({ workloads }) {
  const rows = Object.entries(workloads).map(([name, row]) => [
    `\`${name}\`, ${UNITS[name]}`,
    fixed(row.bare, 0),
    fixed(row.cgoprof, 0),
    percent(over(row)),
  ]);
  return table(['instructions', 'bare', 'cgoprof, 512 KiB', 'over bare'], rows);
}

function versions() {
  const version = (name) => capture(['dpkg-query', '-W', name]).trim().split('\t')[1];
  const valgrind = capture(['valgrind', '--version']).trim();
  const go = capture([findGo(), 'env', 'GOVERSION']).trim();
  const glibc = capture(['getconf', 'GNU_LIBC_VERSION']).trim();
  const peers = `jemalloc ${version('libjemalloc2')}, gperftools ${version('libgoogle-perftools4')}`;
  return `${glibc}, ${valgrind}, heaptrack ${version('heaptrack')}, ${peers} and ${go}`;
}

/** The section's text, below its heading. */
export function section(results) {
  const { scale, hooks, walk, exact, minutes, load } = results;
  return `Written by \`npm run bench\`, which took ${fixed(minutes, 0)} minutes on ${cpus().length} cores, with ${versions()}.
The load average at the end was ${fixed(load)}: above 1, others had the machine too, and times say less than
instructions. Programs in test/bench; figures in out/bench/recorder.json.

${targets(results)}

- Instructions are callgrind's, the slope between a short run and one six times as long, so that start-up has no part in
  them; medians of ${scale.repeats} where samples fall at random. Go programs run on one thread, without signals that
  preempt, without garbage collection.
- Times are medians of ${scale.rounds} rounds, in each of which every tool has its turn, by the clock of the program
  around its loop; those of exact mode are slopes too.
- 8 threads over 2 is to be read beside what the bare program does, below.
- The hooks themselves, when nothing is sampled: malloc ${counted(hooks.malloc)} instructions, free ${counted(hooks.free)}.
- The walk is counted in \`mix\`, inside \`Unwinder::Walk\` (callgrind's --toggle-collect), and divided by the frames that
  the segment says were walked: ${counted(walk.sampled.instructions)} instructions a frame at the default rate;
  ${counted(walk.exact.instructions)} in exact mode, which takes over what it remembers of the last stack.

${pairsTable(results)}

${exactTable(results)}

Under heaptrack the first ${fixed(scale.exactPairs, 0)} pairs, in which it meets every stack, take ${fixed(exact.heaptrack.firstWall, 0)} ns each (ours: ${fixed(exact.exact.firstWall, 0)}),
further ones ${fixed(exact.heaptrack.wall, 0)}. Ten times less than that would be ${fixed(exact.heaptrack.wall / 10, 0)} ns a pair in all, and the bare program takes ${fixed(exact.bare.wall, 0)}.

heaptrack hands its records through a pipe to an interpreter, which runs beside, on another core if one is free. The wall
time has the waiting for that pipe in it; the own processor time has not, nor the interpreter. Its library alone, which
here writes into /dev/null, only notes what happened: it is what the program would pay if the rest cost nothing. Ours
has the counts by stack ready in either case. valgrind's tools slow down all instructions, not allocations only.

${threadsTable(results)}

${memoryTable(results)}

Resident is the process's own memory, without the segment, which counts in full.

${workloadsTable(results)}`;
}
