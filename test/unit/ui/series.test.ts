import { describe, expect, it } from 'vitest';
import type { LiveState } from '../../../src/serve/live-state.js';
import { changeOf, joined, pointsOf } from '../../../src/ui/series.js';

const STATE: LiveState = {
  at: 40_000,
  targets: ['app'],
  target: 'app',
  pprof: 'debug/pprof/',
  problem: '',
  ended: '',
  identity: 'a',
  process: { pid: 1, state: 'running', started: '', rate: 1, command: '', attached: null },
  c: { bytes: 13, sites: [], siteCount: 0, notes: [] },
  go: { served: true, bytes: 17, takenAt: 40_000, problem: '' },
  rss: 19,
  history: { at: [10_000, 20_000, 30_000], c: [2, 3, 5], go: [7, null, null], rss: [11, 11, 11] },
};

describe('joined', () => {
  it('draws over a hole of seconds', () => {
    expect(joined([0, 10_000, 20_000], [2, null, 3])).toEqual([2, undefined, 3]);
  });

  it('leaves one of minutes, and what lies before the first and after the last value', () => {
    expect(joined([0, 1, 90_000, 151_001, 151_002], [null, 2, null, 3, null])).toEqual([null, 2, null, 3, null]);
  });

  it('draws over a hole of just two and a half minutes', () => {
    expect(joined([0, 10_000, 150_000], [2, null, 3])).toEqual([2, undefined, 3]);
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
});

describe('changeOf', () => {
  it('is from the first known value to the last', () => {
    const at = [10, 20, 30, 40];
    expect(changeOf({ at }, [null, 5, undefined, 3])).toEqual({ bytes: -2, ms: 20 });
  });

  it.each([[[]], [[null, 5]], [[null, null]]])('is not known from %j', (values) => {
    expect(changeOf({ at: [1, 2] }, values)).toBeUndefined();
  });
});
