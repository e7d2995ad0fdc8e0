import type { Profile } from 'pprof-format';
import { describe, expect, it } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import { earlierBuckets } from '../../../src/merge/earlier-buckets.js';
import type { Segment, SegmentBucket } from '../../../src/native-binding.js';
import { readProfile } from '../../support/read-profile.js';
import { type BucketTable, bucket as segmentBucket, symbolizedSegment } from '../../support/segment-fixture.js';

const KEPT = ['keep@a.c:3', 'main@a.c:9'];
const LEAKED = ['leak@a.c:5', 'main@a.c:9'];

const bucket = (stack: string[], allocs: number, frees: number, size: number): BucketTable => ({
  stack,
  sizeClass: size,
  allocs,
  frees,
  allocBytes: allocs * size,
  freeBytes: frees * size,
});

/** Samples of what changed from one table of buckets to another: values by stack. */
function changes(before: BucketTable[], after: BucketTable[], rate = 1) {
  const since = symbolizedSegment({ rate, buckets: before }).segment;
  return samplesOf(cProfile(symbolizedSegment({ rate, buckets: after }), { showPlumbing: false, since }));
}

function samplesOf(profile: Profile) {
  return readProfile(profile).samples.map(({ stack, values, labels }) => [stack[0], values, labels.bytes]);
}

describe('a C profile since an earlier reading', () => {
  it('holds what was allocated and freed since', () => {
    const before = [bucket(KEPT, 7, 1, 11), bucket(LEAKED, 3, 0, 13)];
    expect(changes(before, [bucket(KEPT, 7, 6, 11), bucket(LEAKED, 10, 2, 13)])).toEqual([
      ['keep@a.c:3', [0, 0, -5, -55], 11],
      ['leak@a.c:5', [7, 91, 5, 65], 13],
    ]);
  });

  it('leaves out what has not changed, and has all of what was not there', () => {
    const buckets = [bucket(KEPT, 7, 1, 11), bucket(LEAKED, 3, 0, 13), bucket(LEAKED, 1, 0, 17)];
    const after = symbolizedSegment({ buckets });
    // The first one was made before the other, and filled after it: it was not read yet.
    const since = { ...after.segment, buckets: after.segment.buckets.slice(1, 2) };
    expect(samplesOf(cProfile(after, { showPlumbing: false, since }))).toEqual([
      ['keep@a.c:3', [7, 77, 6, 66], 11],
      ['leak@a.c:5', [1, 17, 1, 17], 17],
    ]);
  });

  it('is the difference of estimates where allocations are sampled', () => {
    const [[, values] = []] = changes([bucket(KEPT, 2, 0, 100)], [bucket(KEPT, 5, 0, 100)], 1_000);
    // 1 / (1 - exp(-100 / 1000)) = 10.508: 52 - 21 blocks, 5254 - 2101 bytes.
    expect(values).toEqual([31, 3_153, 31, 3_153]);
  });

  it('has what was in use before an attach only if it was attached since', () => {
    const header = { attachments: 1, beforeAttachBytes: 1009 };
    const [before, after] = [symbolizedSegment({ buckets: [] }), symbolizedSegment({ buckets: [], header })];
    const changes = (since: Segment) => readProfile(cProfile(after, { showPlumbing: false, since })).samples;
    expect(changes(after.segment)).toEqual([]);
    expect(changes(before.segment)).toMatchObject([{ values: [0, 1009, 0, 1009] }]);
  });
});

it.each<[string, Partial<SegmentBucket>, Partial<SegmentBucket>]>([
  ['kind', { kind: 1 }, { kind: 2 }],
  ['sizes', { sizeClass: 11 }, { sizeClass: 13 }],
  ['whole and cut stacks', { truncated: false }, { truncated: true }],
  ['callers in Go and out of reach', { goUnreachable: false }, { goUnreachable: true }],
  ['code', { frames: BigUint64Array.of(3n, 5n) }, { frames: BigUint64Array.of(3n, 7n) }],
  ['callers', { frames: BigUint64Array.of(3n) }, { frames: BigUint64Array.of(3n, 5n) }],
  ['libraries at one place', { frameModules: Uint16Array.of(1, 2) }, { frameModules: Uint16Array.of(1, 3) }],
])('buckets of different %s are not taken for each other', (_, one, other) => {
  const same = { frames: BigUint64Array.of(3n, 5n), frameModules: Uint16Array.of(1, 2) };
  const buckets = [segmentBucket({ ...same, ...one }), segmentBucket({ ...same, ...other })];
  const { segment } = symbolizedSegment({ buckets: [] });
  for (const [first, second] of [buckets, [...buckets].reverse()] as const) {
    const later = { ...segment, buckets: [first, second] as SegmentBucket[] };
    // The first one was filled after the other.
    expect([...earlierBuckets(later, { ...segment, buckets: [second] as SegmentBucket[] }).keys()]).toEqual([second]);
  }
});

it('two readings of different segments have no difference', () => {
  const { segment } = symbolizedSegment({ buckets: [bucket(KEPT, 1, 0, 13), bucket(LEAKED, 1, 0, 13)] });
  const reversed = { ...segment, buckets: [...segment.buckets].reverse() };
  expect(() => earlierBuckets(segment, reversed)).toThrow('what was recorded before is not there any more');
});
