import { describe, expect, test } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import type { SegmentHeader } from '../../../src/native-binding.js';
import { readProfile } from '../../support/read-profile.js';
import {
  bucket,
  LIBRARY,
  MAIN,
  type SegmentTable,
  segmentHeader,
  symbolizedSegment,
} from '../../support/segment-fixture.js';

function read(table: SegmentTable, showPlumbing = false) {
  return readProfile(cProfile(symbolizedSegment(table), { showPlumbing, timeNanos: 1_234_567_890_123_456_789n }));
}

const LEAK = { allocs: 3, allocBytes: 3 * 1009, frees: 1, freeBytes: 1009 };

function stackOf(stack: readonly string[], showPlumbing = false) {
  return read({ buckets: [{ ...LEAK, stack }] }, showPlumbing).samples[0]?.stack;
}

describe('header', () => {
  test('is that of a Go heap profile', () => {
    const profile = read({ rate: 4096, buckets: [] });
    expect(profile.sampleTypes).toEqual([
      'alloc_objects/count',
      'alloc_space/bytes',
      'inuse_objects/count',
      'inuse_space/bytes',
    ]);
    expect(profile.period).toBe(4096);
    expect(profile.timeNanos).toBe(1_234_567_890_123_456_789n);
    expect(profile.comments).toEqual(['cgoprof: C allocations were sampled once per 4096 bytes on average']);
    expect(profile.mappings).toEqual(['/srv/app']);
  });

  test('comments tell what was lost', () => {
    const counters = { droppedBuckets: 7, droppedLive: 11, truncatedStacks: 13 };
    const { comments } = read({ buckets: [{ ...LEAK, torn: true, stack: ['f'] }], counters });
    expect(comments).toEqual([
      'cgoprof: every C allocation was recorded',
      'cgoprof: pid 4321: samples counted without their stack, because the bucket table was full: 7',
      'cgoprof: pid 4321: samples counted as allocated but not as in use, because the live set was full: 11',
      'cgoprof: pid 4321: samples with a stack that ends early: 13',
      'cgoprof: pid 4321: buckets that changed whenever they were read, and may be off by a few blocks: 1',
    ]);
  });

  test('comments tell of an attach, and of what is not in the books then', () => {
    const attached = { attachments: 1, attachedUnixNs: 1_700_000_000_123_456_789n };
    const comments = (header: Partial<SegmentHeader>, counters = {}) =>
      read({ buckets: [], header: { ...attached, ...header, counters: { ...segmentHeader().counters, ...counters } } })
        .comments.slice(1)
        .map((comment) => comment.replace('cgoprof: pid 4321: ', ''));
    const at = 'attached at 2023-11-14T22:13:20.123Z';
    expect(comments({ beforeAttachBytes: 0 })).toEqual([at]);
    expect(comments({ beforeAttachBytes: 7919, attachments: 2 })).toEqual([
      `${at}, not for the first time: what was recorded earlier counts as freed then`,
    ]);
    expect(comments({ state: 'paused' }, { unknownFrees: 17 })).toEqual([
      at,
      'frees of blocks from before the attach, or allocated out of sight: 17',
      'what was in use before the attach is not known',
      'recording is switched off: what was allocated since is not in the profile, nor, once the hooks are out, what was freed',
    ]);
    expect(comments({ attachments: 0, state: 'paused' })).toEqual([
      'recording is switched off: what was allocated since is not in the profile',
    ]);
  });

  test('the time is now unless given', () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const profile = cProfile(symbolizedSegment({ buckets: [] }), { showPlumbing: false });
    expect(BigInt(profile.timeNanos)).toBeGreaterThanOrEqual(before);
  });
});

describe('samples', () => {
  test('at rate 1 hold what was counted, to the byte', () => {
    const { samples } = read({
      buckets: [
        { allocs: 3, allocBytes: 3 * 1009, frees: 1, freeBytes: 1009, stack: ['leak@leak.c:7', 'main.main@main.go:5'] },
        { allocs: 5, allocBytes: 5 * 211, frees: 5, freeBytes: 5 * 211, stack: ['tidy@leak.c:9'] },
      ],
    });
    expect(samples).toEqual([
      {
        stack: ['leak@leak.c:7', 'main.main@main.go:5'],
        values: [3, 3027, 2, 2018],
        labels: { allocator: 'c', bytes: 1009 },
      },
      { stack: ['tidy@leak.c:9'], values: [5, 1055, 0, 0], labels: { allocator: 'c', bytes: 211 } },
    ]);
  });

  test('are scaled per bucket, each side by its own average, before they are added up', () => {
    const stack = ['leak@leak.c:7'];
    const { samples } = read({
      rate: 524288,
      buckets: [
        // In Go: scaleHeapSample(7, 7147, 524288) = 3598, 3673590; (1, 1021, 524288) = 514, 524798.
        { allocs: 7, allocBytes: 7147, frees: 6, freeBytes: 6126, stack },
        // The same stack and block size again, as two size classes of one label may be.
        { allocs: 7, allocBytes: 7147, frees: 7, freeBytes: 7147, stack },
        // scaleHeapSample(13, 6815731, 524288) = 20, 10782339.
        { allocs: 13, allocBytes: 6815731, stack },
      ],
    });
    expect(samples).toEqual([
      { stack, values: [7196, 7347180, 514, 524798], labels: { allocator: 'c', bytes: 1021 } },
      { stack, values: [20, 10782339, 20, 10782339], labels: { allocator: 'c', bytes: 524287 } },
    ]);
  });

  test('a bucket that was read in mid-update never shows less than nothing', () => {
    const torn = { allocs: 2, allocBytes: 26, frees: 3, freeBytes: 39, torn: true };
    const { samples } = read({ buckets: [{ ...torn, stack: ['f'] }] });
    expect(samples).toEqual([{ stack: ['f'], values: [2, 26, 0, 0], labels: { allocator: 'c', bytes: 13 } }]);
  });

  test('empty buckets, malloc(0) and kinds of a later version leave no sample', () => {
    const { samples } = read({
      buckets: [
        { stack: ['unused'] },
        { allocs: 4, allocBytes: 0, stack: ['zero'] },
        { ...LEAK, kind: 2, stack: ['mapped'] },
      ],
    });
    expect(samples).toEqual([]);
  });

  test('blocks of less than a byte on average carry no size label, as in Go', () => {
    const { samples } = read({ buckets: [{ allocs: 4, allocBytes: 3, stack: ['f'] }] });
    expect(samples[0]?.labels).toEqual({ allocator: 'c' });
  });
});

describe('what was in use before the attach', () => {
  const samplesOf = (header: Partial<SegmentHeader>) => read({ rate: 524288, buckets: [], header }).samples;

  test('is one node, of bytes alone', () => {
    expect(samplesOf({ attachments: 1, beforeAttachBytes: 7919 })).toEqual([
      { stack: ['[allocated before attach]'], values: [0, 7919, 0, 7919], labels: { allocator: 'c' } },
    ]);
  });

  test.each([
    ['the library was preloaded', { attachments: 0, beforeAttachBytes: 7919 }],
    ['there was nothing', { attachments: 1, beforeAttachBytes: 0 }],
    ['nobody knows', { attachments: 1, beforeAttachBytes: undefined }],
  ])('is none where %s', (_, header) => {
    expect(samplesOf(header)).toEqual([]);
  });
});

describe('stacks', () => {
  test('the leaf is the line that called the allocator', () => {
    expect(stackOf(['malloc', 'lib:operator new(unsigned long)', 'make@a.cc:3', 'malloc@own.c:1'])).toEqual([
      'make@a.cc:3',
      'malloc@own.c:1',
    ]);
    expect(stackOf(['operator new(unsigned long)@new.h:9 < make@a.cc:3 < run@a.cc:8', 'main'])).toEqual([
      'make@a.cc:3 < run@a.cc:8',
      'main',
    ]);
    expect(stackOf(['lib:strdup', 'leak@leak.c:7'])).toEqual(['strdup', 'leak@leak.c:7']);
  });

  const CALL = [
    'leak@leak.c:7 < _cgo_ab12_Cfunc_leak@cgo.cgo2.c:50',
    'runtime.asmcgocall.abi0@asm.s:900',
    'runtime.cgocall@cgocall.go:167',
    'main._Cfunc_leak@_cgo_gotypes.go:60',
    'main.main@main.go:5',
    'runtime.goexit.abi0@asm.s:1',
  ];

  test('go from the C line to the Go line', () => {
    expect(stackOf(CALL)).toEqual(['leak@leak.c:7', 'main._Cfunc_leak@_cgo_gotypes.go:60', 'main.main@main.go:5']);
  });

  test('keep the plumbing when asked to, but for goexit and the allocator', () => {
    expect(stackOf(['malloc', ...CALL], true)).toEqual(CALL.slice(0, -1));
  });

  test('go through callbacks', () => {
    expect(
      stackOf([
        'leak@leak.c:7',
        'runtime.cgocall@cgocall.go:167',
        'main.goCallback@main.go:9',
        '_cgoexp_ab12_goCallback@_cgo_gotypes.go:80',
        'runtime.cgocallbackg1@cgocall.go:420',
        'runtime.cgocallbackg@cgocall.go:310',
        'runtime.cgocallback.abi0@asm.s:1100',
        'crosscall2@asm.s:30',
        'goCallback@_cgo_export.c:40',
        'each@each.c:3',
      ]),
    ).toEqual(['leak@leak.c:7', 'main.goCallback@main.go:9', 'goCallback@_cgo_export.c:40', 'each@each.c:3']);
  });

  test('of nothing but plumbing are kept', () => {
    expect(stackOf(['malloc', 'runtime.cgocall@cgocall.go:1'])).toEqual(['malloc', 'runtime.cgocall@cgocall.go:1']);
  });

  test('that lost their root end say so at the root', () => {
    const stack = ['leak@leak.c:7'];
    const { samples } = read({
      buckets: [
        { ...LEAK, stack, truncated: true },
        { ...LEAK, stack, truncated: true, goUnreachable: true },
        { ...LEAK, stack },
      ],
    });
    expect(samples.map((sample) => sample.stack)).toEqual([
      ['leak@leak.c:7', '[truncated stack]'],
      ['leak@leak.c:7', '[goroutine not reachable]'],
      ['leak@leak.c:7'],
    ]);
  });

  test('that found no room are one node', () => {
    const { samples } = read({ buckets: [{ ...LEAK, stack: [] }] });
    expect(samples.map((sample) => sample.stack)).toEqual([['[stack not recorded: table full]']]);
  });

  test('are kept once, and looked at once where buckets share them', () => {
    const { segment, locations } = symbolizedSegment({ buckets: [{ ...LEAK, stack: ['leak@leak.c:7', 'main'] }] });
    const [leak = bucket({})] = segment.buckets;
    let looks = 0;
    const get = (target: BigUint64Array, key: string | symbol) => {
      if (key === '0') looks++;
      return Reflect.get(target, key);
    };
    const shared = { ...leak, frames: new Proxy(leak.frames, { get }) };
    const buckets = [shared, { ...shared, allocBytes: 3 * 211 }, { ...leak, allocBytes: 3 * 101 }];
    const profile = cProfile({ segment: { ...segment, buckets }, locations }, { showPlumbing: false });
    expect(looks).toBe(1);
    const [first, second, third] = profile.sample.map(({ locationId }) => locationId);
    expect(first).toHaveLength(2);
    expect(second).toBe(first);
    expect(third).toBe(first);
  });

  test('frames without a name keep their address in the file, or in memory', () => {
    expect(stackOf(['lib:?', 'none:?', 'main'])).toEqual(['[libleak.so.1+0x100f]', '[0xdead001f]', 'main']);
  });
});

describe('wrappers that the Go compiler made', () => {
  test("are left out, as in Go's own profiles", () => {
    const stack = ['leak@leak.c:7', 'main.handle@main.go:5', 'wrapper', 'net/http.serve@server.go:9'];
    expect(stackOf(stack)).toEqual(['leak@leak.c:7', 'main.handle@main.go:5', 'net/http.serve@server.go:9']);
    expect(stackOf(stack, true)).toEqual(['leak@leak.c:7', 'main.handle@main.go:5', 'net/http.serve@server.go:9']);
  });
});

describe('mappings', () => {
  test('the main binary is first, though a library’s frame comes first', () => {
    const { mappings } = read({ modules: [LIBRARY, MAIN], buckets: [{ ...LEAK, stack: ['lib:leak', 'main'] }] });
    expect(mappings).toEqual(['/srv/app', '/usr/lib/libleak.so.1']);
  });

  test('a library that was loaded again elsewhere is one, and so are its locations', () => {
    const shift = 0x100_0000n;
    const { textStart, textEnd, bias } = LIBRARY;
    const again = { ...LIBRARY, id: 3, bias: bias + shift, textStart: textStart + shift, textEnd: textEnd + shift };
    const lines = [{ name: 'leak', systemName: 'leak', file: 'leak.c', line: 7, startLine: 0 }];
    const pc = textStart + 0x55n;
    const { segment } = symbolizedSegment({ modules: [MAIN, LIBRARY, again], buckets: [] });
    const buckets = [
      { ...LEAK, frames: BigUint64Array.of(pc), frameModules: Uint16Array.of(2) },
      { ...LEAK, frames: BigUint64Array.of(pc + shift), frameModules: Uint16Array.of(3) },
    ].map((counts) => ({ kind: 1, sizeClass: 0, torn: false, truncated: false, goUnreachable: false, ...counts }));
    const locations = new Map([
      [2, new Map([[pc, { lines, isGo: false }]])],
      [3, new Map([[pc + shift, { lines, isGo: false }]])],
    ]);
    const profile = cProfile({ segment: { ...segment, buckets }, locations }, { showPlumbing: false });
    expect(profile.mapping.map((mapping) => mapping.memoryStart)).toEqual([MAIN.textStart, textStart]);
    expect(profile.location.map((location) => location.address)).toEqual([pc - 1n]);
    expect(readProfile(profile).samples.map(({ values }) => values)).toEqual([[6, 6054, 4, 4036]]);
  });

  test('claim what is known, and always functions', () => {
    const buckets = [{ ...LEAK, stack: ['lib:?', 'inner@a.c:1 < outer@a.c:2'] }];
    const { mapping } = cProfile(symbolizedSegment({ buckets }), { showPlumbing: false });
    const flags = mapping.map((m) => [m.hasFunctions, m.hasFilenames, m.hasLineNumbers, m.hasInlineFrames]);
    expect(flags).toEqual([
      [true, true, true, true],
      [true, false, false, false],
    ]);
  });
});
