import { describe, expect, test } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import {
  type BlockEstimate,
  type Estimate,
  type IntervalEstimate,
  type SiteEstimate,
  siteEstimates,
  unseenBytes,
} from '../../../src/merge/site-estimates.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { generator } from '../../support/random.js';
import { type BucketTable, symbolizedSegment } from '../../support/segment-fixture.js';

const RATE = 524288;

function ofBuckets(buckets: readonly BucketTable[], rate = RATE): SiteEstimate[] {
  return siteEstimates([cProfile(symbolizedSegment({ rate, buckets }), { showPlumbing: false })]);
}

/** Of the first site. */
function inUseBytes([site]: readonly SiteEstimate[]): IntervalEstimate {
  if (site === undefined) throw new Error('no site');
  return site.inUse.bytes;
}

/** In-use bytes at a line where `count` blocks of `size` were sampled. */
function ofSamples(count: number, size: number): IntervalEstimate {
  return inUseBytes(ofBuckets([{ stack: ['leak@leak.c:7'], allocs: count, allocBytes: count * size }]));
}

describe('sites', () => {
  test('are the lines that allocate, whoever called them, most in use first', () => {
    const sites = ofBuckets([
      { stack: ['malloc', 'small@leak.c:7', 'main.a@main.go:1'], allocs: 2, allocBytes: 202 },
      { stack: ['inlined@leak.c:9 < big@leak.c:20'], allocs: 3, allocBytes: 6 * 2 ** 20 },
      { stack: ['small@leak.c:7', 'main.b@main.go:2'], allocs: 2, allocBytes: 202 },
      { stack: ['small@leak.c:8'], allocs: 1, allocBytes: 101 },
    ]);
    expect(sites.map((site) => [site.allocator, site.function, site.file, site.line])).toEqual([
      ['c', 'inlined', 'leak.c', 9],
      ['c', 'small', 'leak.c', 7],
      ['c', 'small', 'leak.c', 8],
    ]);
    const [, both, one] = sites.map(({ inUse }) => inUse.bytes.estimate);
    expect((both ?? 0) / (one ?? 0)).toBeCloseTo(4, 5);
  });

  test('whose line has no name are not their callers', () => {
    const profile = cProfile(
      symbolizedSegment({ rate: 1, buckets: [{ stack: ['f@f.c:3', 'main.a@main.go:1'], allocs: 1, allocBytes: 7 }] }),
      { showPlumbing: false },
    );
    const [leaf] = profile.location.filter(({ id }) => id === profile.sample[0]?.locationId[0]);
    if (leaf === undefined) throw new Error('no leaf');
    leaf.line = [];
    expect(siteEstimates([profile])).toMatchObject([{ function: '', file: '', line: 0 }]);
  });

  test('have as many blocks as their callers together, not a part of one less for each', () => {
    const size = 300_007;
    const callers = Array.from({ length: 20 }, (_, i) => ['f@f.c:3', `caller${i}@main.go:${i}`]);
    const [site] = ofBuckets(callers.map((stack) => ({ stack, allocs: 1, allocBytes: size })));
    // A profile says 2 for each caller: 1 / (1 - exp(-size / rate)) is 2.29.
    expect(site?.inUse.objects.estimate).toBeCloseTo(20 / (1 - Math.exp(-size / RATE)), 3);
  });

  test('what was in use before an attach is exact, though nobody knows of how many blocks', () => {
    const header = { attachments: 1, beforeAttachBytes: 7919 };
    const symbolized = symbolizedSegment({ rate: RATE, buckets: [], header });
    const sites = siteEstimates([cProfile(symbolized, { showPlumbing: false })]);
    const bytes = { estimate: 7919, standardError: 0, low: 7919, high: 7919 };
    const amounts = { bytes, objects: { estimate: 0, standardError: 0 } };
    const place = { allocator: 'c', function: '[allocated before attach]', file: '', line: 0 };
    expect(sites).toEqual([{ ...place, inUse: amounts, allocated: amounts }]);
  });

  test('in exact mode are exact', () => {
    const sites = ofBuckets([{ stack: ['f@f.c:3'], allocs: 5, frees: 2, allocBytes: 505, freeBytes: 202 }], 1);
    const exact = (estimate: number) => ({ estimate, standardError: 0, low: estimate, high: estimate });
    expect(sites).toEqual([
      {
        allocator: 'c',
        function: 'f',
        file: 'f.c',
        line: 3,
        inUse: { bytes: exact(303), objects: { estimate: 3, standardError: 0 } },
        allocated: { bytes: exact(505), objects: { estimate: 5, standardError: 0 } },
      },
    ]);
  });

  test('of the Go side follow from its own rate', () => {
    const samples = [{ stack: ['main.keep@m.go:9'], values: [4, 4096, 4, 4096], labels: { bytes: 1024 } }];
    const at = (period: number) => siteEstimates([goProfile({ period, samples })]);
    expect(at(512)[0]).toMatchObject({ allocator: 'go', function: 'main.keep', file: 'm.go', line: 9 });
    expect(at(512)[0]?.inUse.bytes.standardError).toBeCloseTo(Math.sqrt((4096 * 1024) / Math.expm1(2)), 6);
    expect(at(1)[0]?.inUse.bytes.standardError).toBe(0);
  });

  test('that shrank, in a Go profile of changes, have an interval around what they lost', () => {
    const samples = [{ stack: ['main.drop@m.go:9'], values: [0, 0, -4, -4096], labels: { bytes: 1024 } }];
    const { low, high } = inUseBytes(siteEstimates([goProfile({ period: 512, samples })]));
    expect((low + high) / 2).toBeCloseTo(-4096, 6);
    expect(low).toBeLessThan(-4096);
  });

  test('with no sample in use may hold what stays unseen', () => {
    const freed = { stack: ['f@f.c:3'], allocs: 5, frees: 5, allocBytes: 5 * 101, freeBytes: 5 * 101 };
    const [site] = ofBuckets([freed]);
    expect(site?.allocated.bytes.standardError).toBeGreaterThan(0);
    const bytes = unseenBytes(RATE);
    expect(site?.inUse.bytes).toEqual({ estimate: 0, standardError: 0, low: 0, high: expect.closeTo(bytes, 6) });
    expect(ofBuckets([freed], 1)[0]?.inUse.bytes.high).toBe(0);
  });
});

describe('the standard error', () => {
  // The sum over sampled blocks of s² (1 - p) / p², written out.
  test.each([
    [1, 64],
    [10, 1021],
    [7, 262139],
    [61, 1048583],
  ])('of %d samples of %d bytes', (count, size) => {
    const p = 1 - Math.exp(-size / RATE);
    const { standardError } = ofSamples(count, size);
    expect(standardError / Math.sqrt((count * size ** 2 * (1 - p)) / p ** 2)).toBeCloseTo(1, 5);
  });

  test('adds up over size classes by its square', () => {
    const small = { stack: ['f@f.c:3'], allocs: 9, allocBytes: 9 * 48 };
    const big = { stack: ['f@f.c:3'], allocs: 3, allocBytes: 3 * 300007 };
    const of = (...buckets: BucketTable[]) => ofBuckets(buckets)[0]?.inUse.bytes.standardError ?? 0;
    expect(of(small, big)).toBeCloseTo(Math.hypot(of(small), of(big)), 5);
  });
});

describe('the interval', () => {
  // k + z²/2 ± z √(k + z²/4), in sampling intervals: Wilson's for a Poisson count.
  test.each([
    [1, 0.177, 5.665],
    [10, 5.432, 18.41],
    [100, 82.23, 121.62],
  ])('of %d samples of small blocks', (count, low, high) => {
    const interval = ofSamples(count, 16);
    expect(interval.low / RATE).toBeCloseTo(low, 2);
    expect(interval.high / RATE).toBeCloseTo(high, 2);
  });

  test('never goes below what was sampled', () => {
    expect(ofSamples(3, 2 ** 20).low).toBeGreaterThanOrEqual(3 * 2 ** 20 - 1);
  });
});

test('what stays unseen: 0.95 = 1 - exp(-B / rate)', () => {
  expect(1 - Math.exp(-unseenBytes(RATE) / RATE)).toBeCloseTo(0.95, 12);
  expect(unseenBytes(1)).toBe(0);
  expect(unseenBytes(0)).toBe(Number.POSITIVE_INFINITY);
});

describe('against simulated truth', () => {
  interface Population {
    readonly size: number;
    readonly blocks: number;
  }

  /** Walks from sample point to sample point, as the library's countdown does. @returns what was sampled */
  function sample({ size, blocks }: Population, random: () => number): BucketTable {
    const total = blocks * size;
    let allocs = 0;
    let position = 0;
    for (;;) {
      position += -Math.log(1 - random()) * RATE;
      if (position >= total) break;
      allocs += 1;
      position = Math.ceil(position / size) * size; // The rest of the block that was hit is thrown away.
    }
    return { stack: ['leak@leak.c:7'], allocs, allocBytes: allocs * size };
  }

  const RUNS = 2000;
  function simulate(populations: readonly Population[]): BlockEstimate[] {
    const random = generator(20261122); // the same numbers in every run: nothing below can fail by chance
    const run = () => ofBuckets(populations.map((one) => sample(one, random)).filter(({ allocs }) => allocs !== 0));
    const none = { estimate: 0, standardError: 0 };
    const unseen = { bytes: { ...none, low: 0, high: unseenBytes(RATE) }, objects: none };
    return Array.from({ length: RUNS }, () => run()[0]?.inUse ?? unseen);
  }

  function expectUnbiased(estimates: readonly Estimate[], truth: number): void {
    const mean = estimates.reduce((sum, { estimate }) => sum + estimate, 0) / RUNS;
    const variance = estimates.reduce((sum, { standardError }) => sum + standardError ** 2, 0) / RUNS;
    expect(Math.abs(mean - truth)).toBeLessThan(3 * Math.sqrt(variance / RUNS));
  }

  test.each<[string, readonly Population[]]>([
    ['5 samples of 8 bytes', [{ size: 8, blocks: 327_680 }]],
    ['8 samples of 61 bytes', [{ size: 61, blocks: 68_759 }]],
    ['20 samples of 1021 bytes', [{ size: 1021, blocks: 10_271 }]],
    ['blocks of half a sampling interval', [{ size: 262139, blocks: 31 }]],
    ['blocks of two sampling intervals', [{ size: 1048583, blocks: 127 }]],
    [
      'few small blocks beside big ones that are never missed',
      [
        { size: 61, blocks: 42_000 },
        { size: 8388617, blocks: 3 },
      ],
    ],
    [
      'all sizes together',
      [
        { size: 8, blocks: 131_071 },
        { size: 1021, blocks: 2053 },
        { size: 65537, blocks: 31 },
        { size: 1048583, blocks: 3 },
        { size: 8388617, blocks: 1 },
      ],
    ],
  ])('%s: the mean is the truth, and the interval covers it in 93 to 97 %% of runs', (_, populations) => {
    const estimates = simulate(populations);
    const blocks = populations.reduce((sum, one) => sum + one.blocks, 0);
    const bytes = populations.reduce((sum, one) => sum + one.blocks * one.size, 0);
    expectUnbiased(
      estimates.map((one) => one.objects),
      blocks,
    );
    expectUnbiased(
      estimates.map((one) => one.bytes),
      bytes,
    );
    const covered = estimates.filter((one) => one.bytes.low <= bytes && bytes <= one.bytes.high).length / RUNS;
    expect(covered).toBeGreaterThanOrEqual(0.93);
    expect(covered).toBeLessThanOrEqual(0.97);
  });
});
