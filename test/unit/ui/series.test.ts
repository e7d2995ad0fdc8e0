import { describe, expect, it } from 'vitest';
import type { LiveState } from '../../../src/serve/live-state.js';
import { BETWEEN, changeOf, isEarlier, joined, NONE, pointsOf, replacedAt } from '../../../src/ui/series.js';

const STATE: LiveState = {
  at: 40_000,
  targets: ['app'],
  target: 'app',
  pprof: 'debug/pprof/',
  problem: '',
  ended: '',
  identity: 'a',
  process: { pid: 1, state: 'running', started: '', rate: 1, command: '', attached: null },
  c: { bytes: 13, beforeAttach: null, sites: [], siteCount: 0, notes: [] },
  go: { served: true, bytes: 17, takenAt: 40_000, problem: '', other: '' },
  rss: 19,
  history: {
    at: [10_000, 20_000, 30_000],
    identities: ['a'],
    of: [0, 0, 0],
    c: [2, 3, 5],
    go: [7, null, null],
    rss: [11, 11, 11],
  },
};

/** Points that are all of one process. */
const ofOne = (at: readonly number[]) => ({ at, of: at.map(() => 0) });

describe('joined', () => {
  it('draws over a hole of seconds', () => {
    expect(joined(ofOne([0, 10_000, 20_000]), [2, null, 3])).toEqual([2, undefined, 3]);
  });

  it('leaves one of minutes, and what lies before the first and after the last value', () => {
    const at = ofOne([0, 1, 90_000, 151_001, 151_002]);
    expect(joined(at, [null, 2, null, 3, null])).toEqual([null, 2, null, 3, null]);
  });

  it('leaves one within which the process became another', () => {
    const at = [0, 10_000, 20_000, 30_000];
    expect(joined({ at, of: [0, 0, 1, 1] }, [2, null, null, 3])).toEqual([2, null, null, 3]);
    expect(joined({ at, of: [0, 0, 1, 1] }, [2, 3, 5, 7])).toEqual([2, 3, 5, 7]);
  });

  it('leaves one within which nothing could be read', () => {
    expect(joined({ at: [0, 10_000, 20_000], of: [0, NONE, 0] }, [2, null, 3])).toEqual([2, null, 3]);
  });

  it('draws over a hole of just two and a half minutes', () => {
    expect(joined(ofOne([0, 10_000, 150_000]), [2, null, 3])).toEqual([2, undefined, 3]);
  });
});

describe('pointsOf', () => {
  it('ends with what is now', () => {
    const { at, values } = pointsOf(STATE);
    expect(at).toEqual([10_000, 20_000, 30_000, 40_000]);
    expect(values).toEqual({ c: [2, 3, 5, 13], go: [7, undefined, undefined, 17], rss: [11, 11, 11, 19] });
  });

  it('does not end with what an ended process held last', () => {
    expect(pointsOf({ ...STATE, rss: null }).values.c).toEqual([2, 3, 5, null]);
  });

  it('does not take an old Go profile for what is now', () => {
    const go = { ...STATE.go, problem: 'no answer' };
    expect(pointsOf({ ...STATE, go }).values.go).toEqual([7, null, null, null]);
  });

  it('does not tell the last reading twice', () => {
    expect(pointsOf({ ...STATE, at: 30_000 }).at).toEqual([10_000, 20_000, 30_000]);
  });

  it('parts two processes by a gap in every line', () => {
    const history = { ...STATE.history, identities: ['z', 'a'], of: [0, 1, 1], go: [7, null, 5] };
    const { at, of, values } = pointsOf({ ...STATE, history });
    expect(at).toEqual([10_000, 15_000, 20_000, 30_000, 40_000]);
    expect(of).toEqual([0, BETWEEN, 1, 1, 1]);
    expect(values).toEqual({ c: [2, null, 3, 5, 13], go: [7, null, null, 5, 17], rss: [11, null, 11, 11, 19] });
  });

  it('parts what was recorded from another process that is there now', () => {
    const { of, values } = pointsOf({ ...STATE, identity: 'b' });
    expect([of, values.c]).toEqual([
      [0, 0, 0, BETWEEN, 1],
      [2, 3, 5, null, 13],
    ]);
  });

  it('has no process where nothing can be read', () => {
    expect(pointsOf({ ...STATE, identity: '', process: null, c: null, rss: null }).of).toEqual([0, 0, 0, NONE]);
  });
});

describe('changeOf', () => {
  it('is from the first known value to the last', () => {
    const at = ofOne([10, 20, 30, 40]);
    expect(changeOf(at, [null, 5, undefined, 3])).toEqual({ bytes: -2, ms: 20 });
  });

  it('is of the process of now alone', () => {
    const at = [10, 20, 30, 40, 50];
    expect(changeOf({ at, of: [0, 0, BETWEEN, 1, 1] }, [100, 90, null, 2, 5])).toEqual({ bytes: 3, ms: 10 });
    expect(changeOf({ at, of: [0, 0, 0, BETWEEN, 1] }, [100, 90, 80, null, 5])).toBeUndefined();
  });

  it('is not known when nothing can be read', () => {
    expect(changeOf({ at: [10, 20, 30], of: [0, 0, NONE] }, [2, 3, null])).toBeUndefined();
  });

  it.each([[[]], [[null, 5]], [[null, null]]])('is not known from %j', (values) => {
    expect(changeOf(ofOne([1, 2]), values)).toBeUndefined();
  });
});

describe('replacedAt', () => {
  it('is when the process of now was seen first, after another', () => {
    expect(replacedAt({ at: [10, 15, 20, 30], of: [0, BETWEEN, 1, 1] })).toBe(20);
    expect(replacedAt({ at: [10, 20, 30], of: [0, NONE, 1] })).toBe(30);
  });

  it.each([[[0, 0, 0]], [[NONE, 0, 0]], [[0, 0, NONE]], [[]]])('is not known from %j', (of) => {
    expect(replacedAt({ at: [10, 20, 30], of })).toBeUndefined();
  });
});

describe('isEarlier', () => {
  it('is every point of a process before that of now', () => {
    const of = [0, NONE, 1, BETWEEN, 2, 2];
    expect(of.map((_, i) => isEarlier({ of }, i))).toEqual([true, false, true, false, false, false]);
  });
});
