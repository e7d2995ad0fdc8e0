// The section "Cost" of docs/serve.md: what was measured, against what was asked.
import { availableParallelism } from 'node:os';
import { table } from './markdown.mjs';

const count = (value) => value.toLocaleString('en');
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const ratio = (value) => value.toFixed(2);

/**
 * What must be kept. A ratio of CPU times is to be 1, but for the ticks in which the kernel counts them, a dozen a scrape. A
 * heap is flat that grows by less than a twentieth in the second half of a day: code is compiled for hours.
 */
function judgements({ warm, cpu, peaks, day }) {
  const half = day.tenths[4];
  const last = day.tenths.at(-1);
  return [
    { what: `time of a warm scrape, median of ${warm.times}`, value: warm.warm, below: 500, show: ms },
    { what: 'peak RSS of the server, in warm scrapes', value: warm.peak, below: 200e6, show: mb },
    { what: 'and after 1,000 at once', value: peaks.parallel, below: 200e6, show: mb },
    { what: 'CPU of the service per scrape, over that of its own', value: cpu.heap.ratio, below: 1.1, show: ratio },
    {
      what: 'JS heap at the end of a day, over that at its half',
      value: last.heap / half.heap,
      below: 1.05,
      show: ratio,
    },
    { what: 'open descriptors then', value: last.descriptors, below: half.descriptors + 1, show: String },
  ].map((one) => ({ ...one, met: one.value < one.below }));
}

/** What was asked and is not kept, in words. */
export function missed(results) {
  const failed = judgements(results).filter(({ met }) => !met);
  return failed.map(({ what, value, below, show }) => `${what}: ${show(value)}, must be below ${show(below)}`);
}

function cpuTable({ cpu, batches }) {
  const rows = Object.values(cpu).map(({ what, direct, through, ratio: value }) => [
    what,
    ms(direct),
    ms(through),
    ratio(value),
  ]);
  return table([`CPU of the service, medians of ${batches} batches`, 'asked itself', 'through cgoprof', 'ratio'], rows);
}

function dayTable({ tenths }) {
  const row = (what, cell) => [what, ...[0, 2, 4, 6, 9].map((tenth) => cell(tenths[tenth]))];
  return table(
    ['of the server', 'first tenth', 'third', 'fifth', 'seventh', 'last'],
    [
      row('JS heap', ({ heap }) => mb(heap)),
      row('RSS', ({ rss }) => mb(rss)),
      row('open descriptors', ({ descriptors }) => descriptors),
    ],
  );
}

export function section(results) {
  const { large, warm, parallel, day } = results;
  return `Written by \`npm run bench:serve\`, on ${availableParallelism()} processors, with a service of ${count(large)} C buckets and as many samples in its
Go profile, each by a stack of 20 frames of its own (test/targets/serve-load): ${count(warm.samples)} samples merged.

${table(
  ['what', 'measured', 'must be below', 'met'],
  judgements(results).map(({ what, value, below, show, met }) => [
    what,
    show(value),
    show(below),
    met ? 'yes' : '**no**',
  ]),
)}

${table(
  ['a warm scrape', 'measured'],
  [
    ['slowest of them', ms(warm.slowest)],
    ["the service's own net/http/pprof, asked by turns, median", ms(warm.direct)],
    ['the first scrape of all, with no symbols in memory', ms(warm.first)],
    ['longest time for which the event loop was blocked', ms(warm.longestBlockMs)],
    ['peak RSS of the server once it has answered with texts', mb(results.peaks.text)],
  ],
)}

${cpuTable(results)}

The index and the live page ask for a heap profile, and so does the first text after the service's start, beside the text: to
see whose it is.

${count(parallel.count)} scrapes at once were answered with ${parallel.bodies} ${parallel.bodies === 1 ? 'snapshot' : 'different snapshots'} within ${parallel.seconds.toFixed(1)} s; the service spent on them
what ${parallel.cpuOf.toFixed(1)} scrapes cost it.

A day of a scrape every 10 s, ${count(day.scrapes)} of them back to back, on a service of ${day.sites} buckets and samples; medians over a
tenth of them, the heap after a collection:

${dayTable(day)}`;
}
