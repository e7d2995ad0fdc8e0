import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SourceLine } from '../../../src/native-binding.js';
import { SymbolCache } from '../../../src/symbolize/symbol-cache.js';
import type { ResolvedLocation } from '../../../src/symbolize/symbolize-segment.js';

const LEAK: SourceLine = { name: 'leak(int)', systemName: '_Z4leaki', file: '/src/a.cc', line: 7, startLine: 5 };
const MAIN: SourceLine = { name: 'main.main', systemName: 'main.main', file: '/src/main.go', line: 31, startLine: 30 };

const SYMBOLS = new Map<bigint, ResolvedLocation>([
  [0x1234n, { lines: [LEAK, { ...LEAK, line: 9 }, { ...LEAK, name: 'caller', line: 11 }], isGo: false }],
  [0xffff_ffff_ffff_fff0n, { lines: [MAIN], isGo: true }],
  [0x5678n, { lines: [], isGo: false }],
]);

let dir = '';
beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'symbol-cache-')), 'cgoprof');
});
afterEach(() => rmSync(join(dir, '..'), { recursive: true }));

function onlyFile(): string {
  const names = readdirSync(dir);
  expect(names).toHaveLength(1);
  return join(dir, names[0] ?? '');
}

test('what was stored comes back', async () => {
  await new SymbolCache(dir).store('build-id aa01', SYMBOLS);
  expect(await new SymbolCache(dir).load('build-id aa01')).toEqual(SYMBOLS);
  expect(await new SymbolCache(dir).load('build-id bb02')).toEqual(new Map());
});

test('is for its owner alone', async () => {
  await new SymbolCache(dir).store('key', SYMBOLS);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(statSync(onlyFile()).mode & 0o777).toBe(0o600);
});

test('storing again replaces', async () => {
  const cache = new SymbolCache(dir);
  await cache.store('key', SYMBOLS);
  const newer = new Map([[1n, { lines: [MAIN], isGo: true }]]);
  await cache.store('key', newer);
  expect(await cache.load('key')).toEqual(newer);
  onlyFile();
});

describe('a file that cannot be trusted counts as empty', () => {
  test.each<[string, (path: string) => void]>([
    ['cut off', (path) => truncateSync(path, statSync(path).size - 1)],
    ['emptied', (path) => truncateSync(path, 0)],
    ['one byte changed', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('leak', 'lead'))],
    ['of another version', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('symbols-1', 'symbols-0'))],
    ['larger than we write', (path) => truncateSync(path, 2 ** 24 + 1)],
  ])('%s', async (_, damage) => {
    const cache = new SymbolCache(dir);
    await cache.store('key', SYMBOLS);
    damage(onlyFile());
    expect(await cache.load('key')).toEqual(new Map());
    await cache.store('key', SYMBOLS);
    expect(await cache.load('key')).toEqual(SYMBOLS);
  });

  test('of another key that was put in its place', async () => {
    const cache = new SymbolCache(dir);
    await cache.store('key', SYMBOLS);
    const stored = readFileSync(onlyFile());
    const path = onlyFile();
    await cache.store('other', SYMBOLS);
    const other = readdirSync(dir).find((name) => join(dir, name) !== path) ?? '';
    writeFileSync(join(dir, other), stored);
    expect(await cache.load('other')).toEqual(new Map());
  });
});

describe('room', () => {
  test('is made by removing what was used longest ago, and nothing that is not ours', async () => {
    const cache = new SymbolCache(dir);
    const paths: string[] = [];
    for (const key of ['a', 'b', 'c']) {
      await cache.store(key, SYMBOLS);
      const path = readdirSync(dir).find((name) => !paths.includes(name)) ?? '';
      paths.push(path);
      utimesSync(join(dir, path), 1000 + paths.length, 1000 + paths.length);
    }
    writeFileSync(join(dir, 'notes.txt'), 'x'.repeat(4096));
    writeFileSync(join(dir, `${paths[0]}.123.tmp`), 'left by a killed process');
    utimesSync(join(dir, `${paths[0]}.123.tmp`), 1, 1);
    // Using the oldest makes it the newest.
    expect((await cache.load('a')).size).toBe(3);
    const { size } = statSync(join(dir, paths[0] ?? ''));
    await new SymbolCache(dir, 2 * size).store('d', SYMBOLS);
    expect((await cache.load('a')).size).toBe(3);
    expect((await cache.load('b')).size).toBe(0);
    expect((await cache.load('c')).size).toBe(0);
    expect((await cache.load('d')).size).toBe(3);
    expect(readdirSync(dir)).toHaveLength(3);
    expect(existsSync(join(dir, 'notes.txt'))).toBe(true);
  });

  test('one module that is too large is not kept', async () => {
    const long = { ...LEAK, name: 'x'.repeat(2 ** 24) };
    await new SymbolCache(dir).store('key', new Map([[1n, { lines: [long], isGo: false }]]));
    expect(existsSync(dir)).toBe(false);
  });
});

test('a folder that cannot be made is no reason to fail', async () => {
  writeFileSync(dir, 'in the way');
  const cache = new SymbolCache(dir);
  await cache.store('key', SYMBOLS);
  expect(await cache.load('key')).toEqual(new Map());
});

test('a link that lies where a file is to be written is not followed', async () => {
  const cache = new SymbolCache(dir);
  await cache.store('key', SYMBOLS);
  const path = onlyFile();
  const victim = join(dir, 'victim');
  writeFileSync(victim, 'precious');
  chmodSync(victim, 0o600);
  rmSync(path);
  const { symlinkSync } = await import('node:fs');
  symlinkSync(victim, `${path}.${process.pid}.tmp`);
  await cache.store('key', SYMBOLS);
  expect(readFileSync(victim, 'utf8')).toBe('precious');
});
