/** The three lines of the chart: which they are, and their points from what the server knows. */
import type { LiveHistory, LiveState } from '../serve/live-state.js';

export type SeriesName = 'c' | 'go' | 'rss';

export interface Series {
  readonly name: SeriesName;
  readonly label: string;
  /** In the chart, at the end of the line. */
  readonly shortLabel: string;
  /** Lengths of strokes and gaps, CSS pixels: lines differ without colour. */
  readonly dash: readonly number[];
}

export const SERIES: readonly Series[] = [
  { name: 'c', label: 'C in use', shortLabel: 'C', dash: [] },
  { name: 'go', label: 'Go in use', shortLabel: 'Go', dash: [8, 4] },
  { name: 'rss', label: 'RSS', shortLabel: 'RSS', dash: [2, 3] },
];

/** The chart shows no more and, so that its line is not a dot, no less. */
export const LONGEST_MS = 3_600_000;
export const SHORTEST_MS = 300_000;

/** Of a service that is scraped once a minute the line is still one. */
const LONGEST_JOIN_MS = 150_000;

/** null is a gap, undefined is drawn over. */
export type Value = number | null | undefined;

export interface Points {
  /** Unix time, ms. */
  readonly at: readonly number[];
  readonly values: Readonly<Record<SeriesName, readonly Value[]>>;
}

/** Holes that are too short to be a gap are drawn over. */
export function joined(at: readonly number[], values: readonly (number | null)[]): Value[] {
  const result: Value[] = [...values];
  let last = -1;
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    const isNear = last >= 0 && (at[i] ?? 0) - (at[last] ?? 0) <= LONGEST_JOIN_MS;
    if (isNear) result.fill(undefined, last + 1, i);
    last = i;
  }
  return result;
}

/** What was recorded, and what is now. */
export function pointsOf({ history, at, process, c, go, rss }: LiveState): Points {
  const lives = rss !== null && process !== null;
  const now: Readonly<Record<SeriesName, number | null>> = {
    c: lives ? (c?.bytes ?? null) : null,
    go: lives && go.problem === '' ? go.bytes : null,
    rss,
  };
  const isNew = at > (history.at.at(-1) ?? 0);
  const with_ = (values: readonly (number | null)[], last: number | null) => (isNew ? [...values, last] : values);
  const times = isNew ? [...history.at, at] : history.at;
  return {
    at: times,
    values: {
      c: with_(history.c, now.c),
      go: joined(times, with_(history.go, now.go)),
      rss: with_(history.rss, now.rss),
    },
  };
}

/** By how much a series has changed since its first point, and when that was; undefined with fewer than two. */
export function changeOf(
  { at }: Pick<LiveHistory, 'at'>,
  values: readonly Value[],
): { readonly bytes: number; readonly ms: number } | undefined {
  const known = values.flatMap((value, i) => (typeof value === 'number' ? [{ value, at: at[i] ?? 0 }] : []));
  const [first] = known;
  const last = known.at(-1);
  if (first === undefined || last === undefined || first === last) return undefined;
  return { bytes: last.value - first.value, ms: last.at - first.at };
}
