import { describe, expect, it } from 'vitest';
import { CgoprofError } from '../../../src/errors.js';
import { bytesBeforeAttach, cProfile } from '../../../src/merge/c-profile.js';
import { cBytesInUse, History, identityOf, Ring } from '../../../src/serve/history.js';
import { FakeTarget } from '../../support/fake-target.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

describe('Ring', () => {
  it('keeps the last readings, oldest first', () => {
    const ring = new Ring(2);
    for (const at of [1, 2, 3]) ring.add({ at, identity: 'a', c: 10 * at, go: null, rss: 5 });
    expect(ring.columns).toEqual({
      at: [2, 3],
      identities: ['a'],
      of: [0, 0],
      c: [20, 30],
      go: [null, null],
      rss: [5, 5],
    });
  });

  it('numbers whose readings they are, as far as there are any', () => {
    const ring = new Ring(4);
    for (const identity of ['gone', 'a', '', 'b', 'b']) ring.add({ at: 1, identity, c: 1, go: 1, rss: 1 });
    expect(ring.columns).toMatchObject({ identities: ['a', 'b'], of: [0, -1, 1, 1] });
  });

  it('holds an hour', () => {
    expect(new Ring().capacity).toBe(360);
  });
});

describe('cBytesInUse', () => {
  it('is what the C profile adds up to', () => {
    const symbolized = symbolizedSegment({
      rate: 4096,
      buckets: [
        { stack: ['f@a.c:1'], allocs: 7, frees: 2, allocBytes: 7 * 997, freeBytes: 2 * 997 },
        { stack: ['g@a.c:2'], allocs: 3, frees: 3, allocBytes: 3 * 101, freeBytes: 3 * 101 },
        { stack: ['f@a.c:1'], allocs: 1, allocBytes: 65537 },
      ],
      header: { attachments: 1, beforeAttachBytes: 1013 },
    });
    const inProfile = cProfile(symbolized, { showPlumbing: false }).sample.map(({ value }) => Number(value[3]));
    expect(cBytesInUse(symbolized.segment)).toBe(inProfile.reduce((sum, bytes) => sum + bytes));
  });

  it('leaves out what was in use before the attach where nobody knows it', () => {
    const { segment } = symbolizedSegment({ buckets: [], header: { attachments: 1, beforeAttachBytes: undefined } });
    expect([cBytesInUse(segment), bytesBeforeAttach(segment.header)]).toEqual([0, null]);
  });

  it('says how much of it was in use before the attach', () => {
    const attached = { attachments: 1, beforeAttachBytes: 1013 };
    const heldBefore = (header: object) => bytesBeforeAttach(symbolizedSegment({ buckets: [], header }).segment.header);
    expect([heldBefore(attached), heldBefore({ ...attached, attachments: 0 })]).toEqual([1013, null]);
  });
});

describe('History', () => {
  it('reads C and RSS, and takes what Go had in use from whoever asked', () => {
    const target = new FakeTarget();
    const history = new History(target.served);
    history.record(10_000);
    target.lastGo = { bytes: 7919, takenAt: new Date(15_000) };
    history.record(20_000);
    history.record(30_000);
    expect(history.columns).toEqual({
      at: [10_000, 20_000, 30_000],
      identities: [identityOf(target.current())],
      of: [0, 0, 0],
      c: [997, 997, 997],
      go: [null, 7919, null],
      rss: [1 << 20, 1 << 20, 1 << 20],
    });
  });

  it('never asks Go, nor for names', () => {
    const target = new FakeTarget();
    new History(target.served).record(10_000);
    expect([target.goAsked, target.cAsked]).toEqual([0, 0]);
  });

  it('takes what a process held at its end, once', () => {
    const target = new FakeTarget();
    const history = new History(target.served);
    history.record(10_000);
    target.end(new Date(15_000));
    target.buckets = [{ stack: ['hold@/srv/app/cache.c:7'], allocs: 2, allocBytes: 1994 }];
    for (const at of [20_000, 30_000]) history.record(at);
    expect(history.columns).toMatchObject({ of: [0, 0, 0], c: [997, 1994, null], rss: [1 << 20, null, null] });
  });

  it('knows nothing of a process whose end nobody saw', () => {
    const target = new FakeTarget();
    const history = new History(target.served);
    target.end(null);
    history.record(10_000);
    expect(history.columns).toMatchObject({ at: [10_000], of: [0], c: [null], go: [null], rss: [null] });
  });

  it('knows nothing while there is nothing to read', () => {
    const target = new FakeTarget();
    const history = new History(target.served);
    target.error = new CgoprofError({ what: 'app', why: 'no such process' });
    history.record(10_000);
    target.error = undefined;
    history.record(20_000);
    expect(history.columns).toMatchObject({ of: [-1, 0], c: [null, 997] });
  });

  it('hides no defect, and keeps the time', () => {
    const target = new FakeTarget();
    const history = new History(target.served);
    target.error = new TypeError('a defect');
    expect(() => history.record(10_000)).toThrow('a defect');
    expect(history.columns.at).toEqual([10_000]);
  });

  it('tells the readings of two processes apart', () => {
    const target = new FakeTarget();
    const history = new History(target.served);
    history.record(10_000);
    target.restart();
    history.record(20_000);
    history.record(30_000);
    expect(history.columns).toMatchObject({ of: [0, 1, 1], c: [997, 997, 997] });
    expect(new Set(history.columns.identities).size).toBe(2);
  });
});
