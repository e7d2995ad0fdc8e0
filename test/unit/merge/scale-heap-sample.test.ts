import { expect, test } from 'vitest';
import { scaleHeapSample } from '../../../src/merge/scale-heap-sample.js';

// Each row is what Go's scaleHeapSample(count, size, rate) returns (protomem.go of Go 1.26 on amd64).
test.each([
  [0, 0, 524288, 0, 0],
  [1, 0, 524288, 0, 0],
  [0, 48, 524288, 0, 0],
  [3, 3072, 1, 3, 3072],
  [3, 3072, 0, 3, 3072],
  [1, 1, 524288, 524288, 524288],
  [1, 48, 524288, 10923, 524312],
  [7, 7147, 524288, 3598, 3673590],
  [1000, 4093000, 524288, 128594, 526337162],
  [13, 6815731, 524288, 20, 10782339],
  [2, 20971534, 524288, 2, 20971534],
  [1, 1099511627776, 524288, 1, 1099511627776],
  [17, 33999881, 4096, 17, 33999881],
  [5, 2 ** 53 + 2, 524288, 5, 9007199254740994n],
  [2 ** 40, 2 ** 62, 524288, 1099880596611, 4613233585889238016n],
])('%d blocks of %d bytes in all, rate %d', (count, size, rate, blocks, bytes) => {
  expect(scaleHeapSample(count, size, rate)).toEqual([blocks, bytes]);
});

test('an estimate beyond int64 is the largest value, not garbage', () => {
  expect(scaleHeapSample(1, 2 ** 64, 1)).toEqual([1, 2n ** 63n - 1n]);
  expect(scaleHeapSample(1, Number.POSITIVE_INFINITY, 524288)).toEqual([1, 2n ** 63n - 1n]);
});
