import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SegmentModule, SymbolizeRequest, SymbolizeResult } from '../../../src/native-binding.js';
import { SymbolCache } from '../../../src/symbolize/symbol-cache.js';
import { type SymbolizeOptions, symbolizeSegment } from '../../../src/symbolize/symbolize-segment.js';
import { bucket, LIBRARY, MAIN, segmentHeader, sourceLine } from '../../support/segment-fixture.js';

let root = '';
let warnings: string[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'symbolize-'));
  for (const { path } of [MAIN, LIBRARY]) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), 'ELF');
  }
  warnings = [];
});
afterEach(() => rmSync(root, { recursive: true }));

function options(overrides: Partial<SymbolizeOptions> = {}): SymbolizeOptions {
  return { root, debugRoots: ['/usr/lib/debug'], warn: (message) => warnings.push(message), ...overrides };
}

/** Names every address after itself, and remembers what it was asked. */
class FakeSymbolizer {
  readonly requests: SymbolizeRequest[] = [];
  result: Partial<SymbolizeResult> = {};

  async symbolizeModule(request: SymbolizeRequest): Promise<SymbolizeResult> {
    this.requests.push(request);
    const lines = Array.from(request.addresses, (address) => [sourceLine(`f_${address.toString(16)}@/src/a.c:7`)]);
    return { lines, isGo: new Uint8Array(lines.length), file: request.files[0] ?? '', warning: '', ...this.result };
  }

  get addresses(): bigint[][] {
    return this.requests.map((request) => [...request.addresses]);
  }
}

function segment(
  stacks: readonly (readonly [moduleId: number, pc: bigint])[][],
  modules: SegmentModule[] = [MAIN, LIBRARY],
) {
  const buckets = stacks.map((frames) =>
    bucket({
      frames: BigUint64Array.from(frames, ([, pc]) => pc),
      frameModules: Uint16Array.from(frames, ([id]) => id),
    }),
  );
  return { header: segmentHeader(), modules, buckets };
}

const IN_LIBRARY = LIBRARY.bias + 0x1235n;
const STACKS = segment([
  [
    [2, IN_LIBRARY],
    [1, 0x401100n],
  ],
  [
    [1, 0x401100n],
    [1, 0x401200n],
    [0, 0xdeadn],
  ],
]);

test('each address of each module is looked up once, moved back into the call and out of the load address', async () => {
  const fake = new FakeSymbolizer();
  const { locations, segment: same } = await symbolizeSegment(STACKS, options(), fake);
  expect(same).toBe(STACKS);
  expect(fake.addresses).toEqual([[0x4010ffn, 0x4011ffn], [0x1234n]]);
  expect(fake.requests[1]).toMatchObject({
    files: [join(root, LIBRARY.path)],
    buildId: 'bb02',
    debugRoots: [`${root}/usr/lib/debug`, '/usr/lib/debug'],
  });
  expect(locations.get(2)?.get(IN_LIBRARY)).toEqual({ lines: [sourceLine('f_1234@/src/a.c:7')], isGo: false });
  expect(locations.get(1)?.get(0x401200n)?.lines[0]?.name).toBe('f_4011ff');
  expect([...locations.keys()]).toEqual([1, 2]);
  expect(warnings).toEqual([]);
});

test('a stack that buckets share is looked at once', async () => {
  let looks = 0;
  const get = (target: BigUint64Array, key: string | symbol) => {
    if (key === '0') looks++;
    return Reflect.get(target, key);
  };
  const shared = bucket({ frames: new Proxy(BigUint64Array.of(0x401100n), { get }), frameModules: Uint16Array.of(1) });
  const fake = new FakeSymbolizer();
  await symbolizeSegment({ ...STACKS, buckets: [shared, { ...shared, sizeClass: 7 }] }, options(), fake);
  expect(looks).toBe(1);
  expect(fake.addresses).toEqual([[0x4010ffn]]);
});

test('our own view has one root for debug files', async () => {
  const fake = new FakeSymbolizer();
  const modules = [{ ...MAIN, path: join(root, MAIN.path) }];
  await symbolizeSegment(segment([[[1, 0x401100n]]], modules), options({ root: '' }), fake);
  expect(fake.requests[0]?.debugRoots).toEqual(['/usr/lib/debug']);
});

test('progress counts addresses', async () => {
  const progress: [number, number, string][] = [];
  const onProgress = (...step: [number, number, string]) => progress.push(step);
  await symbolizeSegment(STACKS, options({ onProgress }), new FakeSymbolizer());
  expect(progress).toEqual([
    [0, 3, '/srv/app'],
    [2, 3, '/usr/lib/libleak.so.1'],
    [3, 3, ''],
  ]);
});

test('the vdso is not looked for, and nobody is warned', async () => {
  const fake = new FakeSymbolizer();
  const vdso = { ...LIBRARY, path: '[vdso]', isVdso: true };
  const { locations } = await symbolizeSegment(segment([[[2, IN_LIBRARY]]], [vdso]), options(), fake);
  expect(fake.requests).toEqual([]);
  expect(warnings).toEqual([]);
  expect(locations.get(2)?.get(IN_LIBRARY)).toEqual({ lines: [], isGo: false });
});

test('an address below the load address wraps, as the addon’s does', async () => {
  const fake = new FakeSymbolizer();
  const { locations } = await symbolizeSegment(segment([[[2, 5n]]]), options(), fake);
  expect(fake.addresses).toEqual([[2n ** 64n + 4n - LIBRARY.bias]]);
  expect(locations.get(2)?.get(5n)?.lines).toHaveLength(1);
});

describe('a module that cannot be symbolized is a warning, and keeps its addresses', () => {
  const nothing = { lines: [], isGo: false };

  test('there is no file', async () => {
    rmSync(join(root, LIBRARY.path));
    const { locations } = await symbolizeSegment(STACKS, options(), new FakeSymbolizer());
    expect(warnings).toEqual(['/usr/lib/libleak.so.1: no such file or directory']);
    expect(locations.get(2)?.get(IN_LIBRARY)).toEqual(nothing);
    expect(locations.get(1)?.get(0x401100n)?.lines).toHaveLength(1);
  });

  test('the addon says why', async () => {
    const fake = new FakeSymbolizer();
    fake.result = { lines: [], warning: 'the file is of another build' };
    const { locations } = await symbolizeSegment(segment([[[2, IN_LIBRARY]]]), options(), fake);
    expect(warnings).toEqual(['/usr/lib/libleak.so.1: the file is of another build']);
    expect(locations.get(2)?.get(IN_LIBRARY)).toEqual(nothing);
  });

  test.each([
    ['an error', new Error('out of memory')],
    ['something else', 'out of memory'],
  ])('the addon throws %s', async (_, thrown) => {
    const broken = { symbolizeModule: () => Promise.reject(thrown) };
    await symbolizeSegment(segment([[[2, IN_LIBRARY]]]), options(), broken);
    expect(warnings).toEqual(['/usr/lib/libleak.so.1: out of memory']);
  });

  test('it has no path', async () => {
    const modules = [{ ...LIBRARY, path: '' }];
    await symbolizeSegment(segment([[[2, IN_LIBRARY]]], modules), options(), new FakeSymbolizer());
    expect(warnings).toEqual(['a module without a path: no absolute path is known']);
  });
});

describe('a file that was written after the process started', () => {
  const written = (createdUnixNs: bigint, buildId: string) => {
    const modules = [{ ...LIBRARY, buildId }];
    const what = segment([[[2, IN_LIBRARY]]], modules);
    return symbolizeSegment({ ...what, header: segmentHeader({ createdUnixNs }) }, options(), new FakeSymbolizer());
  };

  test('may be another one, where no build id tells', async () => {
    await written(1_000_000n, '');
    expect(warnings).toEqual([expect.stringContaining('written after the process started')]);
  });

  test('is the one by its build id, or by its age', async () => {
    await written(1_000_000n, 'bb02');
    await written(BigInt(Date.now() + 60_000) * 1_000_000n, '');
    expect(warnings).toEqual([]);
  });
});

describe('cache', () => {
  async function run(fake: FakeSymbolizer, what = STACKS) {
    return symbolizeSegment(what, options({ cache: new SymbolCache(join(root, 'cache')) }), fake);
  }

  test('a second profile asks for nothing, and says the same', async () => {
    const first = await run(new FakeSymbolizer());
    const fake = new FakeSymbolizer();
    expect(await run(fake)).toEqual(first);
    expect(fake.requests).toEqual([]);
  });

  test('a second profile with more in it asks for the rest', async () => {
    await run(new FakeSymbolizer());
    const fake = new FakeSymbolizer();
    const more = segment([
      [
        [1, 0x401100n],
        [1, 0x401300n],
      ],
    ]);
    await run(fake, more);
    expect(fake.addresses).toEqual([[0x4012ffn]]);
    await run(fake, more);
    await run(fake, STACKS);
    expect(fake.requests).toHaveLength(1);
  });

  test('serves a program whose file is gone', async () => {
    await run(new FakeSymbolizer());
    rmSync(join(root, MAIN.path));
    const { locations } = await run(new FakeSymbolizer());
    expect(locations.get(1)?.get(0x401100n)?.lines[0]?.name).toBe('f_4010ff');
    expect(warnings).toEqual([]);
  });

  test('without a build id goes by the file, and a changed file is looked at again', async () => {
    const modules = [{ ...LIBRARY, buildId: '' }];
    const what = segment([[[2, IN_LIBRARY]]], modules);
    const fake = new FakeSymbolizer();
    await run(fake, what);
    await run(fake, what);
    expect(fake.requests).toHaveLength(1);
    writeFileSync(join(root, LIBRARY.path), 'another ELF');
    await run(fake, what);
    expect(fake.requests).toHaveLength(2);
  });

  test('without a build id and a file there is nothing to go by', async () => {
    rmSync(join(root, LIBRARY.path));
    await run(new FakeSymbolizer(), segment([[[2, IN_LIBRARY]]], [{ ...LIBRARY, buildId: '' }]));
    expect(warnings).toHaveLength(1);
  });

  const NAME_ONLY = [[sourceLine('f')], [sourceLine('g')]];

  test.each<[string, Partial<SymbolizeResult>, bigint[][]]>([
    ['bare names of C: a debug file may come', { lines: NAME_ONLY }, [[0x4010ffn, 0x4011ffn]]],
    ['... but not where there is one', { lines: [[sourceLine('f@a.c:1')], [sourceLine('g')]] }, []],
    [
      '... unless it lacks something',
      { lines: [[sourceLine('f@a.c:1')], [sourceLine('g')]], warning: 'w' },
      [[0x4011ffn]],
    ],
    ['nothing known', { lines: [[sourceLine('f@a.c:1')], []] }, [[0x4011ffn]]],
    ['C lines, whatever else is missing', { warning: 'w' }, []],
    ['Go, even with a warning', { lines: NAME_ONLY, isGo: Uint8Array.of(1, 1), warning: 'no DWARF' }, []],
    ['wrappers of Go, which have no line', { lines: [[], []], isGo: Uint8Array.of(1, 1) }, []],
    ['Go alone of both', { lines: NAME_ONLY, isGo: Uint8Array.of(1, 0) }, [[0x4011ffn]]],
  ])('asks again or not: %s', async (_, result, askedAgain) => {
    const what = segment([
      [
        [1, 0x401100n],
        [1, 0x401200n],
      ],
    ]);
    const first = new FakeSymbolizer();
    first.result = result;
    await run(first, what);
    const second = new FakeSymbolizer();
    await run(second, what);
    expect(second.addresses).toEqual(askedAgain);
  });
});
