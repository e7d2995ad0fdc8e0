/**
 * Segments and symbols written as tables: a frame is the text of its lines, `name@file:line`, innermost inlined
 * function first and joined by ` < `; `?` is a frame that nothing is known of, `wrapper` one that the Go compiler made.
 */
import type { Segment, SegmentBucket, SegmentHeader, SegmentModule, SourceLine } from '../../src/native-binding.js';
import type { ResolvedLocation, SymbolizedSegment } from '../../src/symbolize/symbolize-segment.js';

/** The program: not position-independent, so that run-time and ELF addresses are the same. */
export const MAIN: SegmentModule = {
  id: 1,
  path: '/srv/app',
  buildId: 'aa01',
  imageStart: 0x400000n,
  imageEnd: 0x500000n,
  bias: 0n,
  textStart: 0x401000n,
  textEnd: 0x480000n,
  textOffset: 0x1000n,
  isExecutable: true,
  isGo: true,
  isVdso: false,
};

/** A library, loaded somewhere. */
export const LIBRARY: SegmentModule = {
  id: 2,
  path: '/usr/lib/libleak.so.1',
  buildId: 'bb02',
  imageStart: 0x7f00_0000_0000n,
  imageEnd: 0x7f00_0001_0000n,
  bias: 0x7f00_0000_0000n,
  textStart: 0x7f00_0000_1000n,
  textEnd: 0x7f00_0000_8000n,
  textOffset: 0x1000n,
  isExecutable: false,
  isGo: false,
  isVdso: false,
};

export interface BucketTable extends Partial<Omit<SegmentBucket, 'frames' | 'frameModules'>> {
  /** Leaf first. */
  readonly stack: readonly string[];
}

export interface SegmentTable {
  readonly rate?: number;
  readonly modules?: readonly SegmentModule[];
  readonly buckets: readonly BucketTable[];
  readonly header?: Partial<SegmentHeader>;
  readonly counters?: Partial<SegmentHeader['counters']>;
}

export function segmentHeader(overrides: Partial<SegmentHeader> = {}): SegmentHeader {
  return {
    abiMajor: 2,
    abiMinor: 1,
    state: 'running',
    pid: 4321,
    uid: 0,
    startTimeTicks: 1n,
    createdUnixNs: 1_700_000_000_000_000_000n,
    runId: '0',
    sampleRate: 1,
    bootId: '00112233445566778899aabbccddeeff',
    exePath: MAIN.path,
    wish: 'record',
    attachments: 0,
    attachedUnixNs: 0n,
    beforeAttachBytes: undefined,
    counters: {
      droppedBuckets: 0,
      droppedLive: 0,
      truncatedStacks: 0,
      goBoundaryFailed: 0,
      missedFrees: 0,
      lostModules: 0,
      prunedSegments: 0,
      unknownFrees: 0,
    },
    samples: 0,
    liveSamples: 0,
    committedBytes: 4096,
    ...overrides,
  };
}

export function bucket(overrides: Partial<SegmentBucket>): SegmentBucket {
  return {
    kind: 1,
    sizeClass: 0,
    allocs: 0,
    frees: 0,
    allocBytes: 0,
    freeBytes: 0,
    torn: false,
    truncated: false,
    goUnreachable: false,
    frames: new BigUint64Array(),
    frameModules: new Uint16Array(),
    ...overrides,
  };
}

export function sourceLine(text: string): SourceLine {
  const [, name = '', file = '', line = '0'] = /^(.*?)(?:@([^@]*):(\d+))?$/s.exec(text) ?? [];
  return { name, systemName: name, file, line: Number(line), startLine: 0 };
}

function resolve(frame: string): ResolvedLocation {
  if (frame === '?' || frame === 'wrapper') return { lines: [], isGo: frame === 'wrapper' };
  return { lines: frame.split(' < ').map(sourceLine), isGo: /^\w+\./.test(frame) };
}

/**
 * Lays the table's frames out in the address space, each text at an address of its own. Frames lie in the main program;
 * with a prefix `lib:` in the library, with `none:` in no module.
 */
export function symbolizedSegment(table: SegmentTable): SymbolizedSegment {
  const modules = table.modules ?? [MAIN, LIBRARY];
  const texts: string[] = [];
  const locations = new Map(modules.map(({ id }) => [id, new Map<bigint, ResolvedLocation>()]));
  const place = (text: string): { id: number; pc: bigint } => {
    if (!texts.includes(text)) texts.push(text);
    const prefix = /^(lib|none):/.exec(text)?.[1];
    const id = prefix === 'lib' ? LIBRARY.id : prefix === 'none' ? 0 : MAIN.id;
    const start = modules.find((module) => module.id === id)?.textStart ?? 0xdead_0000n;
    const pc = start + BigInt(texts.indexOf(text) + 1) * 16n;
    locations.get(id)?.set(pc, resolve(text.replace(/^(lib|none):/, '')));
    return { id, pc };
  };
  const buckets = table.buckets.map(({ stack, ...counts }) => {
    const frames = stack.map(place);
    return bucket({
      ...counts,
      frames: BigUint64Array.from(frames, ({ pc }) => pc),
      frameModules: Uint16Array.from(frames, ({ id }) => id),
    });
  });
  const { counters } = segmentHeader();
  const header = segmentHeader({
    sampleRate: table.rate ?? 1,
    counters: { ...counters, ...table.counters },
    ...table.header,
  });
  const segment: Segment = { header, modules, buckets };
  return { segment, locations };
}
