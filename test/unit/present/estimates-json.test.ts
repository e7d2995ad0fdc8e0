import { expect, it } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import { estimatesJson } from '../../../src/present/estimates-json.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

const C = symbolizedSegment({
  rate: 524288,
  buckets: [{ stack: ['leak@leak.c:7'], allocs: 2, allocBytes: 2 * 1021, frees: 1, freeBytes: 1021 }],
  header: { samples: 2 },
  counters: { droppedLive: 3 },
});

it('is one object: how it was sampled, what was lost, and whole numbers per site', () => {
  const text = estimatesJson({ segment: C.segment, c: [cProfile(C, { showPlumbing: false })], go: [] });
  expect(text.endsWith('}\n')).toBe(true);
  expect(JSON.parse(text)).toEqual({
    pid: 4321,
    confidence: 0.95,
    sampling: { c: { rate: 524288, unlistedBytes: 1570627 } },
    samples: 2,
    losses: { droppedLive: 3 },
    sites: [
      {
        allocator: 'c',
        function: 'leak',
        file: 'leak.c',
        line: 7,
        inUse: {
          bytes: { estimate: 524798, standardError: 524288, low: 92765, high: 2968901 },
          objects: { estimate: 514, standardError: 514 },
        },
        allocated: {
          bytes: { estimate: 1049597, standardError: 741455, low: 288156, high: 3823108 },
          objects: { estimate: 1028, standardError: 727 },
        },
      },
    ],
  });
});

it('says by null that nothing is known of unlisted sites where Go’s profiling is off', () => {
  const go = goProfile({ period: 0, samples: [] });
  expect(JSON.parse(estimatesJson({ segment: C.segment, c: [], go: [go] })).sampling).toEqual({
    go: { rate: 0, unlistedBytes: null },
  });
});
