import { expect, it } from 'vitest';
import { formatAge, formatBytes, formatNanos, formatTime } from '../../../src/present/units.js';

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [5 * 2 ** 20 + 2 ** 16, '5.1 MiB'],
  [-(2 ** 30), '-1 GiB'],
  [3 * 2 ** 50, '3072 TiB'],
])('formatBytes(%d) is %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it.each([
  [-5, '0 ms'],
  [850, '850 ms'],
  [1_000, '1 s'],
  [3_249, '3.2 s'],
  [119_000, '119 s'],
  [120_000, '2 min'],
])('formatAge(%d) is %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

it('formatTime is local and sorts', () => {
  expect(formatTime(new Date(2026, 0, 2, 3, 4, 5))).toBe('2026-01-02 03:04:05');
});

it.each([
  [0, '0 µs'],
  [85_400, '85 µs'],
  [999_999, '1000 µs'],
  [1_234_567, '1.2 ms'],
  [5_000_000_000, '5000 ms'],
])('formatNanos(%d) is %s', (ns, text) => {
  expect(formatNanos(ns)).toBe(text);
});
