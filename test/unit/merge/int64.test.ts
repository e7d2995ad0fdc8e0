import { expect, test } from 'vitest';
import { addInt64, compareInt64, int64, uint64 } from '../../../src/merge/int64.js';

test('a decoded varint is read as two’s complement', () => {
  expect(int64(5n)).toBe(5);
  expect(int64(2n ** 64n - 7n)).toBe(-7);
  expect(int64(2n ** 63n)).toBe(-(2n ** 63n));
  expect(int64(2n ** 53n)).toBe(2n ** 53n);
  expect(int64(12)).toBe(12);
});

test('addresses are unsigned', () => {
  expect(uint64(0xffff_ffff_ff60_0000n)).toBe(0xffff_ffff_ff60_0000n);
  expect(uint64(-1)).toBe(2n ** 64n - 1n);
});

test('sums stay exact beyond 2^53 and come back to numbers below', () => {
  expect(addInt64(2, 3)).toBe(5);
  expect(addInt64(Number.MAX_SAFE_INTEGER, 2)).toBe(2n ** 53n + 1n);
  expect(addInt64(2n ** 53n + 1n, -2)).toBe(Number.MAX_SAFE_INTEGER);
  expect(addInt64(2n ** 63n - 1n, 1)).toBe(-(2n ** 63n));
});

test('numbers and bigints are in one order', () => {
  expect([3, 2n ** 60n, -(2n ** 60n), 0, 3].sort(compareInt64)).toEqual([-(2n ** 60n), 0, 3, 3, 2n ** 60n]);
});
