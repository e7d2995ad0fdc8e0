import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { FollowedSegment, FollowedTarget } from '../../../src/collect/followed-target.js';
import type { GoHeapBytes } from '../../../src/collect/go-heap.js';
import type { Upstream } from '../../../src/collect/upstream.js';
import { type DeltaQuery, deltaProfile } from '../../../src/serve/delta-profile.js';
import { ServedTarget } from '../../../src/serve/served-target.js';
import { Turns } from '../../../src/serve/turns.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';

let world: FakeWorld;
let current: FollowedSegment;
beforeEach(() => {
  world = new FakeWorld();
  current = living(10);
});
afterEach(() => {
  vi.useRealTimers();
  world.remove();
});

function living(pid: number): FollowedSegment {
  const path = world.segment(`${pid}-1.seg`, { createdUnixNs: BigInt(pid) });
  const found = { path, header: world.native.readSegmentHeader(path), livePid: pid };
  return { found, path, livePid: pid, end: undefined };
}

const END = { at: new Date('2026-11-22T03:06:00Z'), how: 'died' } as const;
const end = (): void => {
  current = { ...current, livePid: undefined, end: END };
};

/** So many that, as in Go, they are over at once. */
const QUERY: DeltaQuery = {
  seconds: 2n ** 62n,
  defaultType: '',
  cAlone: false,
  cancel: new AbortController().signal,
};

function changes(upstream: Pick<Upstream, 'heap'> | undefined, query = QUERY): Promise<Uint8Array> {
  const target = new ServedTarget(world.context(), world.native, {
    name: 'api',
    followed: { current: () => current } as FollowedTarget,
    upstream: upstream as Upstream | undefined,
    showPlumbing: false,
    symbols: { load: async () => new Map(), store: async () => {} },
    turns: new Turns(),
  });
  return deltaProfile(target, query);
}

const samples = [{ stack: ['main.main@/srv/app/main.go:3'], values: [1, 7919, 1, 7919] }];
const GO_CHANGES = { name: 'http://127.0.0.1:6060', bytes: goProfile({ samples }).encode(), takenAt: END.at };

it('is of so many seconds, at the service as well, without a collection, and ends with the question', async () => {
  const heap = vi.fn(async () => GO_CHANGES);
  const { sample } = Profile.decode(gunzipSync(await changes({ heap })));
  expect(sample.map(({ value }) => Number(value[3]))).toEqual([7919]);
  expect(heap.mock.calls).toEqual([[{ gc: false, seconds: QUERY.seconds }, QUERY.cancel]]);
});

it('of C alone asks no service', async () => {
  const heap = vi.fn(async () => GO_CHANGES);
  const { sample } = Profile.decode(gunzipSync(await changes({ heap }, { ...QUERY, cAlone: true })));
  expect([heap.mock.calls, sample]).toEqual([[], []]);
});

it('says when it was taken, and over how long', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
  // Whatever the service’s clock says.
  const bytes = goProfile({ samples, timeNanos: 1n }).encode();
  const begun = changes({ heap: async () => ({ ...GO_CHANGES, bytes }) });
  vi.setSystemTime(1_000_000 + 7_919);
  const { timeNanos, durationNanos } = Profile.decode(gunzipSync(await begun));
  expect([timeNanos, durationNanos].map(BigInt)).toEqual([1_007_919_000_000n, 7_919_000_000n]);
});

it('says what viewers show first', async () => {
  const bytes = await changes(undefined, { ...QUERY, defaultType: 'alloc_space' });
  const { defaultSampleType, stringTable } = Profile.decode(gunzipSync(bytes));
  expect(stringTable.strings[Number(defaultSampleType)]).toBe('alloc_space');
});

it('is not waited for by who has left', async () => {
  const leaving = new AbortController();
  const begun = changes(undefined, { ...QUERY, seconds: 3_600n, cancel: leaving.signal });
  leaving.abort();
  await expect(begun).rejects.toThrow(/aborted/);
});

it('is of one process', async () => {
  const begun = changes(undefined);
  current = living(11);
  await expect(begun).rejects.toThrow('api: its process was replaced by another meanwhile');
});

it('has no Go side of whoever answers once the process has ended', async () => {
  const heap = async (): Promise<GoHeapBytes> => {
    end();
    return GO_CHANGES;
  };
  await expect(changes({ heap })).rejects.toThrow('api: its process ended meanwhile');
});

it('of C alone is what changed until the process ended, and says that it has', async () => {
  const begun = changes(undefined);
  end();
  const { comment, stringTable } = Profile.decode(gunzipSync(await begun));
  const comments = comment.map((index) => stringTable.strings[Number(index)] ?? '');
  expect(comments.some((text) => text.includes('pid 10 has ended'))).toBe(true);
});
