import { describe, expect, test } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import { nameThatStays, printedGoName, TextFrames, withoutCuts } from '../../../src/merge/text-frames.js';
import type { SegmentModule } from '../../../src/native-binding.js';
import { LIBRARY, MAIN, symbolizedSegment } from '../../support/segment-fixture.js';

const STEP = 1n << 56n;
const LEAK = { allocs: 3, allocBytes: 3 * 1009 };

/** Frames of a profile of these stacks, and each stack's. */
function framesOf(stacks: readonly (readonly string[])[], modules?: readonly SegmentModule[]) {
  const buckets = stacks.map((stack) => ({ ...LEAK, stack }));
  const c = cProfile(symbolizedSegment({ buckets, ...(modules && { modules }) }), { showPlumbing: true });
  const frames = new TextFrames([c]);
  return { frames, stacks: c.sample.map((sample) => frames.stack(c, sample)) };
}

describe('frames', () => {
  test('are inside the call, and found by that address and by the one to which it returns', () => {
    const { frames, stacks } = framesOf([['lib:leak@/src/leak.c:7', 'main.main@/src/main.go:11']]);
    const [leak, main] = [LIBRARY.textStart + 15n, MAIN.textStart + 31n];
    expect(stacks[0]).toEqual([
      { address: leak, pc: leak, name: 'leak', place: '/src/leak.c:7' },
      { address: main, pc: main, name: 'main.main', place: '/src/main.go:11' },
    ]);
    const around = (address: bigint) => [-1n, 0n, 1n, 2n].map((step) => frames.nameAt(address + step));
    expect(around(leak)).toEqual([undefined, 'leak', 'leak', undefined]);
    expect(around(main)).toEqual([undefined, 'main.main', 'main.main', undefined]);
  });

  test('of inlined functions lie where no code is, but for the innermost one', () => {
    const { frames, stacks } = framesOf([['inner@/src/a.c:7 < middle@/src/a.c:11 < outer@/src/b.c:13']]);
    const pc = MAIN.textStart + 15n;
    expect(stacks[0]?.map((frame) => [frame.name, frame.pc, frame.address - pc])).toEqual([
      ['inner', pc, 0n],
      ['middle', pc, STEP],
      ['outer', pc, 2n * STEP],
    ]);
    expect([0n, 1n, 2n, 3n].map((steps) => frames.nameAt(pc + steps * STEP))).toEqual([
      'inner',
      'middle',
      'outer',
      undefined,
    ]);
  });

  test('of a function that was inlined into itself are two, each with its place', () => {
    const { stacks } = framesOf([['walk@/src/a.c:7 < walk@/src/a.c:11']]);
    expect(stacks[0]?.map(({ place }) => place)).toEqual(['/src/a.c:7', '/src/a.c:11']);
  });

  test('of a library that came where another had been have addresses of their own', () => {
    const second = { ...LIBRARY, id: 3, path: '/usr/lib/libother.so', buildId: 'cc03' };
    const segment = symbolizedSegment({
      modules: [MAIN, LIBRARY, second],
      buckets: [
        { ...LEAK, stack: ['lib:first@/src/first.c:7'] },
        { ...LEAK, stack: ['main.main@/src/main.go:11'] },
      ],
    });
    const pc = LIBRARY.textStart + 16n;
    const [, other] = segment.segment.buckets;
    if (other === undefined) throw new Error('no second bucket');
    other.frames[0] = pc;
    other.frameModules[0] = second.id;
    const line = { name: 'second', systemName: 'second', file: '/src/second.c', line: 13, startLine: 0 };
    const locations = new Map(segment.locations).set(second.id, new Map([[pc, { lines: [line], isGo: false }]]));
    const c = cProfile({ ...segment, locations }, { showPlumbing: true });
    const frames = new TextFrames([c]);
    expect(c.sample.map((sample) => frames.stack(c, sample)[0]?.address)).toEqual([pc - 1n, pc - 1n + STEP]);
    expect([frames.nameAt(pc - 1n), frames.nameAt(pc - 1n + STEP)]).toEqual(['first', 'second']);
  });

  test('that are no code have addresses that last, found whether they are in the profile or not', () => {
    const c = cProfile(
      symbolizedSegment({
        buckets: [
          { ...LEAK, stack: ['leak'], truncated: true },
          { ...LEAK, stack: ['leak'], truncated: true, goUnreachable: true },
          { ...LEAK, stack: [] },
        ],
        header: { attachments: 1, beforeAttachBytes: 7919 },
      }),
      { showPlumbing: false },
    );
    const frames = new TextFrames([c]);
    const roots = c.sample.map((sample) => frames.stack(c, sample).at(-1));
    const nowhere = 1n << 62n;
    const expected = [
      ['[truncated stack]', nowhere],
      ['[goroutine not reachable]', nowhere + 2n],
      ['[stack not recorded: table full]', nowhere + 6n],
      ['[allocated before attach]', nowhere + 4n],
    ] as const;
    expect(roots.map((frame) => [frame?.name, frame?.address])).toEqual(expected);
    const { frames: none } = framesOf([]);
    for (const [name, address] of expected) {
      expect([none.nameAt(address), none.nameAt(address + 1n), frames.nameAt(address)]).toEqual([name, name, name]);
    }
    expect([none.nameAt(nowhere - 1n), none.nameAt(nowhere + 8n)]).toEqual([undefined, undefined]);
  });

  test('without end at one address are left out', () => {
    const names = Array.from({ length: 70 }, (_, i) => `f${i}@/src/deep.c:${i + 1}`);
    const { stacks } = framesOf([[names.join(' < ')]]);
    expect(stacks[0]?.map(({ name }) => name)).toEqual(Array.from({ length: 64 }, (_, i) => `f${i}`));
  });
});

describe('names', () => {
  test.each([
    ['main.alloc[go.shape.int]', 'main.alloc[...]'],
    ['main.(*List[go.shape.struct { a [2]int }]).Add', 'main.(*List[...]).Add'],
    ['main.plain', 'main.plain'],
    ['main.odd]x[', 'main.odd]x['],
    ['', ''],
  ])('of Go: %s is printed as %s', (name, printed) => expect(printedGoName(name)).toBe(printed));

  test('type arguments are Go’s: C++ has brackets, too', () => {
    const { stacks } = framesOf([['void f<int [3]>()@/src/a.cc:7', 'main.f[go.shape.int]@/src/main.go:11']]);
    expect(stacks[0]?.map(({ name }) => name)).toEqual(['void f<int [3]>()', 'main.f[...]']);
  });

  test.each([
    ['allocate', 'allocate '],
    ['allocate(unsigned long)', 'allocate (unsigned long)'],
    ['operator new[](unsigned long)', 'operator new[] (unsigned long)'],
    ['free', 'free '],
    ['tc_memalign', 'tc_memalign '],
    ['do_malloc_pages', 'do_malloc_pages '],
    ['Pool::allocate(int)', 'Pool::allocate(int)'],
    ['(anonymous namespace)::allocate(int)', '(anonymous namespace)::allocate(int)'],
    ['allocate_dtv', 'allocate_dtv'],
    ['leak', 'leak'],
  ])('of an allocator: %s becomes %j', (name, kept) => expect(nameThatStays(name)).toBe(kept));

  test('are so only for the reader of a text', () => {
    const { frames, stacks } = framesOf([['lib:leak@/src/a.c:7', 'lib:allocate@/src/a.c:11']]);
    expect(stacks[0]?.[1]?.name).toBe('allocate');
    expect(frames.nameAt(stacks[0]?.[1]?.address ?? 0n)).toBe('allocate ');
  });
});

test('frames of Go’s runtime are left out where pprof would cut', () => {
  const kept = (...names: string[]) => {
    const frames = names.map((name, i) => ({ address: BigInt(i), pc: BigInt(i), name, place: '' }));
    return withoutCuts(frames).map(({ name }) => name);
  };
  expect(kept('leak', 'runtime.cgocall', 'main.f', 'runtime.deferreturn', 'main.main', 'runtime.main')).toEqual([
    'leak',
    'main.f',
    'main.main',
    'runtime.main',
  ]);
  expect(kept('runtime.panic', 'runtime.call64', 'main.main')).toEqual([
    'runtime.panic',
    'runtime.call64',
    'main.main',
  ]);
  expect(kept('runtime/cgo.f', 'main.main')).toEqual(['runtime/cgo.f', 'main.main']);
  expect(kept('runtime.newm', 'runtime.mstart')).toEqual(['runtime.newm', 'runtime.mstart']);
  expect(kept()).toEqual([]);
});
