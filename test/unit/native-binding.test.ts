// The real addon: what it hands to TypeScript, and the code of every error it throws.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type AttachRequest, native } from '../../src/native-binding.js';
import { HEADER, REGION, SegmentBytes } from './segment-bytes.js';

const ADDON = fileURLToPath(new URL('../../build/Release/cgoprof.node', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'cgoprof-native-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function fileOf(content: string | Uint8Array): string {
  const path = join(directory, `file-${files++}`);
  writeFileSync(path, content);
  return path;
}

/** What a call throws, as far as callers may rely on it. */
function thrownBy(call: () => unknown): { code: unknown; message: string } {
  try {
    call();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { code, message };
  }
  throw new Error('nothing was thrown');
}

/** One module, one live sample, and two buckets that share a frame; the second one's update was cut off. */
function smallSegment(): SegmentBytes {
  const segment = new SegmentBytes();
  segment.u32(HEADER.pid, 4241).u32(HEADER.uid, 1009).u64(HEADER.startTimeTicks, 104729);
  segment.u64(HEADER.createdUnixNs, 1700000000000000001n).u64(HEADER.runId, 0xbeefn).u8(HEADER.bootId, 0xab);
  segment.text(segment.record(REGION.strings, 0), '/srv/server').used(REGION.strings, 11);
  segment.u32(HEADER.wish, 1).u32(HEADER.attachments, 3);
  segment.u64(HEADER.attachedUnixNs, 1700000000000000002n).u64(HEADER.beforeAttachBytes, 7919);
  segment.u32(HEADER.exePath, 5).u32(HEADER.exePathBytes, 6);
  for (let counter = 0; counter < 8; counter++) segment.u64(HEADER.counters + 8 * counter, 101 + counter);

  const module = segment.record(REGION.modules, 0);
  [0x7f0000001000n, 0x7f0000009000n, 0x7f0000000000n, 0x7f0000002000n, 0x7f0000005000n, 0x2000n].forEach((value, i) => {
    segment.u64(module + 8 * i, value);
  });
  segment
    .u32(module + 48, 0)
    .u32(module + 52, 11)
    .u32(module + 56, 0)
    .u32(module + 60, 2);
  segment.u32(module + 64, 1 | 2).u32(module + 68, 1);

  segment.u64(segment.record(REGION.stacks, 0), (1n << 48n) | 0x7f0000002003n);
  segment.u64(segment.record(REGION.stacks, 1), 0x11n);
  addBucket(segment, 0, { stack: 0, depth: 2, flags: 0 });
  addBucket(segment, 1, { stack: 1, depth: 9, flags: 3 });
  segment.u64(segment.record(REGION.liveEntries, 0), 0x5000);
  return segment;
}

type RawBucket = { stack: number; depth: number; flags: number };

function addBucket(segment: SegmentBytes, index: number, raw: RawBucket): void {
  const bucket = segment.record(REGION.buckets, index);
  segment
    .u32(bucket + 8, raw.stack)
    .u16(bucket + 12, raw.depth)
    .u8(bucket + 14, 1)
    .u8(bucket + 15, raw.flags);
  segment.u32(bucket + 16, 87).u32(bucket + 20, 1);
  [3, 3 * 7919, 2, 2 * 7919].forEach((value, i) => {
    segment.u64(bucket + 32 + 8 * i, value);
  });
}

const SMALL_HEADER = {
  abiMajor: 2,
  abiMinor: 1,
  state: 'running',
  pid: 4241,
  uid: 1009,
  startTimeTicks: 104729n,
  createdUnixNs: 1700000000000000001n,
  runId: 'beef',
  sampleRate: 524288,
  bootId: 'ab000000000000000000000000000000',
  exePath: 'server',
  wish: 'pause',
  attachments: 3,
  attachedUnixNs: 1700000000000000002n,
  beforeAttachBytes: 7919,
  counters: {
    droppedBuckets: 101,
    droppedLive: 102,
    truncatedStacks: 103,
    goBoundaryFailed: 104,
    missedFrees: 105,
    lostModules: 106,
    prunedSegments: 107,
    unknownFrees: 108,
  },
  samples: 6,
  liveSamples: 1,
  committedBytes: 7 * 4096 + 56 * 72,
};

describe('readSegment', () => {
  it('hands back every field', () => {
    const counts = { kind: 1, sizeClass: 87, allocs: 3, frees: 2, allocBytes: 23757, freeBytes: 15838 };
    expect(native.readSegment(fileOf(smallSegment().bytes))).toEqual({
      header: SMALL_HEADER,
      modules: [
        {
          id: 1,
          path: '/srv/server',
          buildId: '2f73',
          imageStart: 0x7f0000001000n,
          imageEnd: 0x7f0000009000n,
          bias: 0x7f0000000000n,
          textStart: 0x7f0000002000n,
          textEnd: 0x7f0000005000n,
          textOffset: 0x2000n,
          isExecutable: true,
          isGo: true,
          isVdso: false,
        },
      ],
      buckets: [
        {
          ...counts,
          torn: false,
          truncated: false,
          goUnreachable: false,
          frames: BigUint64Array.of(0x7f0000002003n, 0x11n),
          frameModules: Uint16Array.of(1, 0),
        },
        {
          ...counts,
          torn: false,
          truncated: true,
          goUnreachable: true,
          frames: BigUint64Array.of(0x11n),
          frameModules: Uint16Array.of(0),
        },
      ],
    });
  });

  it('hands buckets of one stack the same frames', () => {
    const segment = smallSegment();
    for (const [index, depth] of [2, 1, 2].entries()) {
      addBucket(segment, index, { stack: 0, depth, flags: 0 });
    }
    const [first, shorter, third] = native.readSegment(fileOf(segment.bytes)).buckets;
    expect(first?.frames).toHaveLength(2);
    expect(third?.frames).toBe(first?.frames);
    expect(third?.frameModules).toBe(first?.frameModules);
    expect(shorter?.frames).toHaveLength(1);
  });

  it('hands back the header alone', () => {
    expect(native.readSegmentHeader(fileOf(smallSegment().bytes))).toEqual(SMALL_HEADER);
  });

  it.each([
    [1, 'running'],
    [2, 'paused'],
    [3, 'exited'],
  ])('names state %i', (state, name) => {
    const segment = smallSegment().u32(HEADER.state, state);
    expect(native.readSegmentHeader(fileOf(segment.bytes)).state).toBe(name);
  });

  it.each([
    [
      'its allocator gives no account',
      (segment: SegmentBytes) => segment.u64(HEADER.beforeAttachBytes, 2n ** 64n - 1n),
    ],
    ['it was preloaded', (segment: SegmentBytes) => segment.u32(HEADER.attachments, 0)],
  ])('does not know what was in use before where %s', (_, change) => {
    const header = native.readSegmentHeader(fileOf(change(smallSegment()).bytes));
    expect(header.beforeAttachBytes).toBeUndefined();
    expect(header.wish).toBe('pause');
  });

  it('reads a segment of the minor version before, which knew of no attach', () => {
    const segment = smallSegment().u16(HEADER.abiMinor, 0).u32(HEADER.counterCount, 7);
    expect(native.readSegmentHeader(fileOf(segment.bytes))).toEqual({
      ...SMALL_HEADER,
      abiMinor: 0,
      wish: 'record',
      attachments: 0,
      attachedUnixNs: 0n,
      beforeAttachBytes: undefined,
      counters: { ...SMALL_HEADER.counters, unknownFrees: 0 },
    });
  });

  it('keeps counts within what a number holds exactly', () => {
    const segment = smallSegment()
      .u64(HEADER.sampleRate, 2n ** 64n - 1n)
      .u64(HEADER.runId, 2n ** 64n - 1n);
    const header = native.readSegmentHeader(fileOf(segment.bytes));
    expect(header.sampleRate).toBe(Number.MAX_SAFE_INTEGER);
    expect(header.runId).toBe('ffffffffffffffff');
  });

  it.each<[string, string, (segment: SegmentBytes) => Uint8Array]>([
    ['NOT_A_SEGMENT', 'not a cgoprof segment', () => new TextEncoder().encode('{"profile": []}')],
    ['NOT_A_SEGMENT', 'not a cgoprof segment', () => new Uint8Array()],
    [
      'SEGMENT_VERSION',
      'segment version 1.1, this build reads version 2',
      (segment) => segment.u16(HEADER.abiMajor, 1).bytes,
    ],
    ['SEGMENT_STARTING', 'its process has not finished setting it up', (segment) => segment.u32(HEADER.state, 0).bytes],
    [
      'SEGMENT_DAMAGED',
      'damaged segment: it has 20000 of its 32768 bytes',
      (segment) => segment.bytes.subarray(0, 20000),
    ],
    [
      'SEGMENT_DAMAGED',
      'damaged segment: region buckets does not lie within the file',
      (segment) => segment.u64(HEADER.regions + 40 * REGION.buckets, 2n ** 63n).bytes,
    ],
  ])('throws %s: %s', (code, message, damage) => {
    const path = fileOf(damage(smallSegment()));
    expect(thrownBy(() => native.readSegment(path))).toEqual({ code, message });
    expect(thrownBy(() => native.readSegmentHeader(path))).toEqual({ code, message });
  });

  it('throws ENOENT, EIO and EACCES', () => {
    const missing = join(directory, 'missing');
    expect(thrownBy(() => native.readSegment(missing))).toEqual({ code: 'ENOENT', message: 'no such file' });
    expect(thrownBy(() => native.readSegment('/'))).toEqual({ code: 'EIO', message: 'Is a directory' });
    const locked = fileOf(smallSegment().bytes);
    chmodSync(locked, 0);
    chmodSync(directory, 0o755);
    expect(thrownBy(() => asOrdinaryUser(() => native.readSegment(locked)))).toEqual({
      code: 'EACCES',
      message: 'not allowed to read it',
    });
  });

  it('refuses a path that is no string', () => {
    expect(() => native.readSegment(42 as unknown as string)).toThrow('string was expected');
  });
});

describe('setSegmentWish', () => {
  it('tells the writer, and changes nothing else', () => {
    const { bytes } = smallSegment();
    const path = fileOf(bytes);
    native.setSegmentWish(path, 'record');
    expect(native.readSegmentHeader(path)).toEqual({ ...SMALL_HEADER, wish: 'record' });
    native.setSegmentWish(path, 'pause');
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it.each<[string, (segment: SegmentBytes) => Uint8Array]>([
    ['NOT_A_SEGMENT', () => new TextEncoder().encode('{"profile": []}')],
    ['NOT_A_SEGMENT', (segment) => segment.bytes.subarray(0, 1000)],
    ['SEGMENT_VERSION', (segment) => segment.u16(HEADER.abiMajor, 1).bytes],
    ['SEGMENT_VERSION', (segment) => segment.u16(HEADER.abiMinor, 0).bytes],
    ['SEGMENT_STARTING', (segment) => segment.u32(HEADER.state, 0).bytes],
    ['SEGMENT_DAMAGED', (segment) => segment.u32(HEADER.headerBytes, 1008).bytes],
  ])('throws %s, and leaves the file as it was', (code, change) => {
    const bytes = change(smallSegment());
    const path = fileOf(bytes);
    expect(thrownBy(() => native.setSegmentWish(path, 'record'))).toMatchObject({ code });
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it('throws ENOENT and EACCES', () => {
    expect(thrownBy(() => native.setSegmentWish(join(directory, 'missing'), 'pause'))).toMatchObject({
      code: 'ENOENT',
    });
    const readable = fileOf(smallSegment().bytes);
    chmodSync(readable, 0o444);
    chmodSync(directory, 0o755);
    expect(thrownBy(() => asOrdinaryUser(() => native.setSegmentWish(readable, 'pause')))).toMatchObject({
      code: 'EACCES',
    });
  });
});

describe('attach', () => {
  const request: AttachRequest = {
    pid: process.pid,
    action: 'attach',
    libraryPath: join(directory, 'missing'),
    rate: 0,
    directory: '',
    deadlineMs: 1000,
    trustSeccomp: false,
    skipAccount: false,
  };

  it('rejects with a code and what is to be said about it', async () => {
    const ended = spawnSync('true').pid;
    await expect(native.attach({ ...request, pid: ended })).rejects.toMatchObject({ code: 'GONE', detail: '' });
    const detach = native.attach({ ...request, action: 'detach' });
    await expect(detach).rejects.toMatchObject({ code: 'LIBRARY', detail: 'not-attached' });
  });

  it('rejects with EIO where the library cannot be read, before anything is stopped', async () => {
    await expect(native.attach(request)).rejects.toMatchObject({ code: 'EIO', message: expect.stringMatching(/./) });
  });

  it('throws on a request of another shape', () => {
    expect(() => native.attach({} as never)).toThrow();
  });
});

/** Root may read everything, so it steps down for the call. */
function asOrdinaryUser<T>(call: () => T): T {
  const user = process.geteuid?.();
  if (user !== 0) return call();
  process.seteuid?.(65534);
  try {
    return call();
  } finally {
    process.seteuid?.(user);
  }
}

describe('inspectExecutable', () => {
  it('tells an ELF program', () => {
    expect(native.inspectExecutable(process.execPath)).toEqual({
      format: 'elf',
      machine: process.arch === 'x64' ? 'amd64' : process.arch,
      dynamic: true,
      interpreter: expect.stringMatching(/^\/lib/),
      isGo: false,
      hasOwnMalloc: false,
      hasCapabilities: false,
    });
  });

  it('tells a script and anything else', () => {
    const nothing = { machine: '', dynamic: false, isGo: false, hasOwnMalloc: false, hasCapabilities: false };
    const script = fileOf('#!/bin/sh -e\nexec ./server\n');
    expect(native.inspectExecutable(script)).toEqual({ ...nothing, format: 'script', interpreter: '/bin/sh' });
    expect(native.inspectExecutable(fileOf('text'))).toEqual({ ...nothing, format: 'other', interpreter: '' });
  });

  it('throws ENOENT', () => {
    const missing = join(directory, 'missing');
    expect(thrownBy(() => native.inspectExecutable(missing))).toEqual({ code: 'ENOENT', message: 'no such file' });
  });
});

describe('symbolizeModule', () => {
  const request = { files: [ADDON], buildId: '', addresses: new BigUint64Array(), debugRoots: [] };

  it('resolves with the lines of each address', async () => {
    const symbols = execFileSync('nm', ['-D', '--defined-only', ADDON], { encoding: 'utf8' });
    const address = BigInt(`0x${/^(\w+) T napi_register_module_v1$/m.exec(symbols)?.[1]}`);
    const result = await native.symbolizeModule({ ...request, addresses: BigUint64Array.of(address, 2n ** 64n - 1n) });
    expect(result.lines).toHaveLength(2);
    expect(result.lines[0]?.at(-1)).toMatchObject({ name: 'napi_register_module_v1' });
    expect(result.lines[1]).toEqual([]);
    expect(result.isGo).toEqual(Uint8Array.of(0, 0));
    expect(result.file).toBe(ADDON);
  });

  it('resolves with a warning when no file can be read', async () => {
    const files = [join(directory, 'missing')];
    const result = await native.symbolizeModule({ ...request, files, addresses: BigUint64Array.of(1n) });
    expect(result).toMatchObject({ lines: [[]], isGo: Uint8Array.of(0), file: '' });
    expect(result.warning).not.toBe('');
  });

  it('throws on a request of another shape', () => {
    expect(() => native.symbolizeModule({} as never)).toThrow();
  });
});
