import { describe, expect, it } from 'vitest';
import { parseDuration, parseInterval, parsePid, parseProfileChoice, parseRate } from '../../src/flag-values.js';

describe('parseRate', () => {
  it.each([
    ['1', 1],
    ['524288', 524288],
    ['512KiB', 524288],
    ['512k', 524288],
    ['1MiB', 1048576],
    ['1.5MiB', 1572864],
    ['2MB', 2000000],
    ['3 kb', 3000],
    ['1G', 1073741824],
    ['97B', 97],
    ['1024GiB', 2 ** 40],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseRate(text)).toBe(bytes);
  });

  it.each(['', 'abc', '1 2', '-1', '0x10', '1e3', '1TiB', '1_000', '.5', '1.'])('refuses %j', (text) => {
    expect(() => parseRate(text)).toThrow('expected a number of bytes such as 1, 524288, 512KiB or 1MiB');
  });

  it('says why a number is out of range', () => {
    expect(() => parseRate('0')).toThrow('must be at least 1');
    expect(() => parseRate('1025GiB')).toThrow('must be at most 1TiB');
    expect(() => parseRate('1.5')).toThrow('whole number');
  });
});

describe('parseDuration', () => {
  it.each([
    ['10s', 10_000],
    ['500ms', 500],
    ['1m', 60_000],
    ['1m30s', 90_000],
    ['1.5s', 1_500],
    ['2h', 7_200_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '10', 's', '10 s', '-1s', '1d', '1s!', '10us'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow('expected a duration such as 10s, 500ms or 1m');
  });

  it('is bounded', () => {
    expect(() => parseDuration('25h')).toThrow('at most 24h');
  });
});

it('parseInterval does not let a service be flooded', () => {
  expect(parseInterval('100ms')).toBe(100);
  expect(() => parseInterval('99ms')).toThrow('at least 100ms');
});

it('parseProfileChoice takes base names only', () => {
  for (const text of ['go', 'all', 'my-server']) expect(parseProfileChoice(text)).toBe(text);
  for (const text of ['', '/usr/bin/x', './x']) expect(() => parseProfileChoice(text)).toThrow('base name');
});

it('parsePid takes pids only', () => {
  expect([parsePid('1'), parsePid('4194304')]).toEqual([1, 4194304]);
  for (const text of ['', '0', '-1', '1x', '01', '1e3', '9999999999', './10-1.seg']) {
    expect(() => parsePid(text)).toThrow('expected the pid of a running process');
  }
});
