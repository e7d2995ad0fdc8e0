import type { Profile } from 'pprof-format';
import { expect, it } from 'vitest';
import { scaleHeapSample } from '../../../src/merge/scale-heap-sample.js';
import { cSiteCounts, goSiteCounts } from '../../../src/merge/site-counts.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { bucket, segmentHeader, symbolizedSegment } from '../../support/segment-fixture.js';

const counts = (allocs: number, allocBytes: number, frees = 0, freeBytes = 0) => ({
  allocs,
  allocBytes,
  frees,
  freeBytes,
});

it('a stack is one site, of however many buckets, and stays one when all of it is freed', () => {
  const { segment } = symbolizedSegment({
    buckets: [
      { stack: ['leak@a.c:1', 'main.main@main.go:2'], ...counts(3, 3 * 11, 1, 11) },
      { stack: ['work@a.c:7', 'main.main@main.go:2'], ...counts(5, 5 * 13, 5, 5 * 13) },
      { stack: ['never@a.c:9'] },
    ],
  });
  const [leak] = segment.buckets;
  const ofAnotherSize = bucket({ ...leak, sizeClass: 9, ...counts(2, 2 * 101) });
  const counted = cSiteCounts({ ...segment, buckets: [...segment.buckets, ofAnotherSize] });
  expect(counted).toEqual({
    sites: 2,
    sitesInUse: 1,
    buckets: 3,
    allocated: { objects: 10, bytes: 33 + 65 + 202 },
    freed: { objects: 6, bytes: 11 + 65 },
    inUse: { objects: 4, bytes: 22 + 202 },
  });
});

it('each bucket is scaled by its own size before they are added up', () => {
  const rate = 524288;
  const { segment } = symbolizedSegment({
    rate,
    buckets: [
      { stack: ['small@a.c:1'], ...counts(7, 7 * 64, 2, 2 * 64) },
      { stack: ['large@a.c:2'], ...counts(3, 3 * 999_983) },
    ],
  });
  const { allocated, freed, inUse } = cSiteCounts(segment);
  const sum = (...pairs: [unknown, unknown][]) => ({
    objects: pairs.reduce((total, [objects]) => total + Number(objects), 0),
    bytes: pairs.reduce((total, [, bytes]) => total + Number(bytes), 0),
  });
  const large = scaleHeapSample(3, 3 * 999_983, rate);
  expect(allocated).toEqual(sum(scaleHeapSample(7, 7 * 64, rate), large));
  expect(freed).toEqual(sum(scaleHeapSample(2, 2 * 64, rate)));
  expect(inUse).toEqual(sum(scaleHeapSample(5, 5 * 64, rate), large));
  expect(allocated.bytes).toBeGreaterThan(7 * 500_000); // a small block stands for about the rate
});

it('samples without a stack are one site, and what is no heap is none', () => {
  const buckets = [
    bucket(counts(1, 10)),
    bucket({ sizeClass: 4, ...counts(1, 100, 1, 100) }),
    bucket({ kind: 2, ...counts(1, 1000) }),
  ];
  expect(cSiteCounts({ header: segmentHeader(), modules: [], buckets })).toMatchObject({
    sites: 1,
    sitesInUse: 1,
    buckets: 2,
    allocated: { objects: 2, bytes: 110 },
  });
});

it('a bucket that shows frees before their allocations has nothing in use', () => {
  const { segment } = symbolizedSegment({ buckets: [{ stack: ['a@a.c:1'], torn: true, ...counts(1, 10, 2, 20) }] });
  expect(cSiteCounts(segment)).toMatchObject({ sites: 1, sitesInUse: 0, inUse: { objects: 0, bytes: 0 } });
});

it('what Go has freed is listed in its profile for ever, and holds nothing', () => {
  const profile = goProfile({
    samples: [
      { stack: ['main.a@m.go:1', 'main.main@m.go:9'], values: [3, 3072, 1, 1024] },
      { stack: ['main.a@m.go:1', 'main.main@m.go:9'], values: [5, 80, 0, 0] },
      { stack: ['main.b@m.go:2', 'main.main@m.go:9'], values: [2, 2n ** 60n, 0, 0] },
    ],
  });
  expect(goSiteCounts(profile)).toEqual({
    sites: 2,
    sitesInUse: 1,
    buckets: 3,
    allocated: { objects: 10, bytes: 2n ** 60n + 3152n },
    inUse: { objects: 1, bytes: 1024 },
  });
});

it('stacks of Go are told apart by each of their locations', () => {
  const stacks = [[1, 23], [12, 3], [123]];
  const sample = stacks.map((locationId) => ({ locationId, value: [1, 8, 1, 8], label: [] }));
  expect(goSiteCounts({ sample } as unknown as Profile).sites).toBe(3);
});
