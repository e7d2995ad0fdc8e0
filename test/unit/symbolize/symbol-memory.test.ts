import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Segment } from '../../../src/native-binding.js';
import type { ModuleSymbols, SymbolStore } from '../../../src/symbolize/symbol-cache.js';
import { SymbolMemory } from '../../../src/symbolize/symbol-memory.js';
import { symbolizeSegment } from '../../../src/symbolize/symbolize-segment.js';
import { bucket, LIBRARY, segmentHeader, sourceLine } from '../../support/segment-fixture.js';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

/** Keeps what it is given, and counts. */
class Disk implements SymbolStore {
  readonly stored = new Map<string, ModuleSymbols>();
  loads = 0;

  async load(key: string): Promise<ModuleSymbols> {
    this.loads += 1;
    return this.stored.get(key) ?? new Map();
  }

  async store(key: string, symbols: ModuleSymbols): Promise<void> {
    this.stored.set(key, symbols);
  }
}

const KNOWN = LIBRARY.bias + 0x1101n;
const NAME_ONLY = LIBRARY.bias + 0x1201n;
const UNKNOWN = LIBRARY.bias + 0x1301n;
const SEGMENT: Segment = {
  header: segmentHeader(),
  modules: [{ ...LIBRARY, path: process.execPath }],
  buckets: [bucket({ frames: BigUint64Array.of(KNOWN, NAME_ONLY, UNKNOWN), frameModules: Uint16Array.of(2, 2, 2) })],
};

/** Names what was KNOWN with a file, NAME_ONLY without, and nothing else. */
class Binding {
  readonly asked: bigint[][] = [];

  symbolizeModule = async ({ addresses }: { addresses: BigUint64Array }) => {
    this.asked.push([...addresses]);
    const lines = Array.from(addresses, (address) => {
      if (address === 0x1100n) return [sourceLine('known@/src/a.c:7')];
      return address === 0x1200n ? [sourceLine('name')] : [];
    });
    return { lines, isGo: new Uint8Array(lines.length), file: '', warning: 'no debug information' };
  };
}

const look = (cache: SymbolStore, binding: Binding) =>
  symbolizeSegment(SEGMENT, { root: '', debugRoots: [], warn: () => {}, cache }, binding);

test('what was found once is asked for no more, what was not only after a while', async () => {
  const disk = new Disk();
  const memory = new SymbolMemory(disk);
  const binding = new Binding();
  const first = await look(memory, binding);
  for (let i = 0; i < 3; i++) expect((await look(memory, binding)).locations).toEqual(first.locations);
  expect(binding.asked).toEqual([[0x1100n, 0x1200n, 0x1300n]]);

  vi.setSystemTime(1_000_000 + 59_999);
  await look(memory, binding);
  expect(binding.asked).toHaveLength(1);
  vi.setSystemTime(1_000_000 + 60_000);
  expect((await look(memory, binding)).locations).toEqual(first.locations);
  expect(binding.asked.slice(1)).toEqual([[0x1200n, 0x1300n]]);
});

test('only what lasts is kept behind', async () => {
  const disk = new Disk();
  await look(new SymbolMemory(disk), new Binding());
  expect([...disk.stored.values()].map((symbols) => [...symbols.keys()])).toEqual([[0x1100n]]);
});

test('what is behind is looked at once', async () => {
  const disk = new Disk();
  const memory = new SymbolMemory(disk);
  for (let i = 0; i < 3; i++) await look(memory, new Binding());
  expect(disk.loads).toBe(1);
});
