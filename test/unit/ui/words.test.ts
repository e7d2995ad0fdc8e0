import { describe, expect, it } from 'vitest';
import {
  formatChange,
  formatClock,
  formatClockSeconds,
  formatInterval,
  formatShare,
  formatSpan,
  shortPath,
} from '../../../src/ui/words.js';

describe('words', () => {
  it.each([
    [0, '±0'],
    [0.4, '±0'],
    [1536, '+1.5 KiB'],
    [-1024, '−1 KiB'],
  ])('change of %d bytes: %s', (bytes, text) => {
    expect(formatChange(bytes)).toBe(text);
  });

  it.each([
    [1024, 1536, '1–1.5 KiB'],
    [512, 1536, '512 B – 1.5 KiB'],
  ])('interval from %d to %d: %s', (low, high, text) => {
    expect(formatInterval(low, high)).toBe(text);
  });

  it.each([
    [0, '0 s'],
    [89_000, '89 s'],
    [90_000, '2 min'],
    [3_569_000, '59 min'],
    [3_600_000, '1 h'],
    [5_400_000, '1.5 h'],
  ])('span of %d ms: %s', (ms, text) => {
    expect(formatSpan(ms)).toBe(text);
  });

  it.each([
    [1, 8, '12.5 %'],
    [0, 8, '0 %'],
    [1, 10_000, '<0.1 %'],
    [0, 0, '–'],
  ])('share %d of %d: %s', (part, whole, text) => {
    expect(formatShare(part, whole)).toBe(text);
  });

  it('times are local', () => {
    const at = new Date(2026, 10, 22, 7, 5, 3).getTime();
    expect([formatClock(at), formatClockSeconds(at)]).toEqual(['07:05', '07:05:03']);
  });

  it.each([
    ['/srv/app/cache/fragment.c', 'cache/fragment.c'],
    ['a.c', 'a.c'],
  ])('path %s: %s', (path, text) => {
    expect(shortPath(path)).toBe(text);
  });
});
