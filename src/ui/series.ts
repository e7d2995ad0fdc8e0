/** The three lines of the chart: which they are, and their points from what the server knows. */
import type { LiveState } from '../serve/live-state.js';

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

/** The process that a point is of, as a number; NONE: nothing could be read; BETWEEN: a gap between two processes. */
export type Owner = number;
export const NONE: Owner = -1;
export const BETWEEN: Owner = -2;

/** Times of points, Unix ms, and whose they are. */
export interface Owned {
  readonly at: readonly number[];
  readonly of: readonly Owner[];
}

export interface Points extends Owned {
  readonly values: Readonly<Record<SeriesName, readonly Value[]>>;
}

interface Point extends Readonly<Record<SeriesName, number | null>> {
  readonly at: number;
  readonly of: Owner;
}

/** Holes in what is known of one process are drawn over, if they are too short to be a gap. */
export function joined({ at, of }: Owned, values: readonly (number | null)[]): Value[] {
  const result: Value[] = [...values];
  let last = -1;
  for (const [i, value] of values.entries()) {
    if (of[i] !== of[i - 1]) last = -1;
    if (value === null) continue;
    const isNear = last >= 0 && (at[i] ?? 0) - (at[last] ?? 0) <= LONGEST_JOIN_MS;
    if (isNear) result.fill(undefined, last + 1, i);
    last = i;
  }
  return result;
}

/** What was recorded, and what is now; between two processes a point without values, so that no line joins them. */
export function pointsOf(state: LiveState): Points {
  const { history } = state;
  const recorded = history.at.map((at, i) => ({
    at,
    of: history.of[i] ?? NONE,
    c: history.c[i] ?? null,
    go: history.go[i] ?? null,
    rss: history.rss[i] ?? null,
  }));
  const isNew = state.at > (history.at.at(-1) ?? 0);
  const points = parted(isNew ? [...recorded, pointNow(state)] : recorded);
  const column = <Name extends keyof Point>(name: Name) => points.map((point) => point[name]);
  const owned = { at: column('at'), of: column('of') };
  return { ...owned, values: { c: column('c'), go: joined(owned, column('go')), rss: column('rss') } };
}

function pointNow({ at, history: { identities }, identity, process, c, go, rss }: LiveState): Point {
  const lives = rss !== null && process !== null;
  const known = identities.indexOf(identity);
  // One that came after the last reading has no number yet.
  const owner = known >= 0 ? known : identities.length;
  return {
    at,
    of: identity === '' ? NONE : owner,
    c: lives ? (c?.bytes ?? null) : null,
    go: lives && go.problem === '' ? go.bytes : null,
    rss,
  };
}

function parted(points: readonly Point[]): Point[] {
  return points.flatMap((point, i) => {
    const before = points[i - 1];
    if (before === undefined || before.of === point.of || before.of === NONE || point.of === NONE) return [point];
    return [{ at: (before.at + point.at) / 2, of: BETWEEN, c: null, go: null, rss: null }, point];
  });
}

/** The process that the last point is of; undefined when nothing could be read. */
function ownerNow({ of }: Pick<Owned, 'of'>): Owner | undefined {
  const last = of.at(-1);
  return last === undefined || last < 0 ? undefined : last;
}

/** Whether a point is of a process before the one of now. */
export function isEarlier(points: Pick<Owned, 'of'>, index: number): boolean {
  const now = ownerNow(points);
  const owner = points.of[index] ?? NONE;
  return now !== undefined && owner >= 0 && owner !== now;
}

/** The first point of the process of now, if there are others before it: Unix time, ms. */
export function replacedAt(points: Owned): number | undefined {
  const now = ownerNow(points);
  const first = now === undefined ? -1 : points.of.indexOf(now);
  return points.of.slice(0, Math.max(0, first)).some((owner) => owner >= 0) ? points.at[first] : undefined;
}

/**
 * By how much a series of the process of now has changed since its first point, and when that was; undefined with fewer
 * than two.
 */
export function changeOf(
  { at, of }: Owned,
  values: readonly Value[],
): { readonly bytes: number; readonly ms: number } | undefined {
  const owner = ownerNow({ of });
  const known = values.flatMap((value, i) =>
    typeof value === 'number' && of[i] === owner ? [{ value, at: at[i] ?? 0 }] : [],
  );
  const [first] = known;
  const last = known.at(-1);
  if (first === undefined || last === undefined || first === last) return undefined;
  return { bytes: last.value - first.value, ms: last.at - first.at };
}
