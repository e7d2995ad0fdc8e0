/**
 * A symbolized segment as a pprof heap profile, such as runtime/pprof would write it: counts scaled per bucket, the line
 * that called malloc at the leaf, the Go callers above.
 */
import type { Profile } from 'pprof-format';
import type { SegmentBucket, SegmentModule, SourceLine } from '../native-binding.js';
import type { SymbolizedSegment } from '../symbolize/symbolize-segment.js';
import { isAllocator, isShown } from './frame-filter.js';
import { ALLOCATOR_LABEL, BYTES_LABEL } from './heap-profile.js';
import type { Int64 } from './int64.js';
import { type LabelSpec, type MappingSpec, ProfileBuilder } from './profile-builder.js';
import { scaleHeapSample } from './scale-heap-sample.js';
import { segmentNotes } from './segment-notes.js';
import { addressName } from './unnamed-frame.js';

export interface CProfileOptions {
  /** Keep the frames that cgo itself puts between Go and C. */
  readonly showPlumbing: boolean;
  /** When the segment was read, Unix time in ns; now by default. */
  readonly timeNanos?: bigint;
}

/** SegmentBucket.kind of blocks of the malloc family. */
const KIND_HEAP = 1;

/** Root frames of stacks whose root end is missing, so that nobody takes the outermost known frame for the origin. */
const TRUNCATED = '[truncated stack]';
const GO_UNREACHABLE = '[goroutine not reachable]';

/** One location, before functions are shared. */
interface Frame {
  readonly mappingId: number;
  /** Inside the call: return address - 1, as in Go's profiles. */
  readonly address: bigint;
  /** Innermost inlined function first, never empty. */
  readonly lines: readonly SourceLine[];
}

interface FilteredFrame {
  readonly whole: Frame;
  /** Without the lines that are hidden wherever they stand; undefined when none is left. */
  readonly shown: Frame | undefined;
}

function nameOnly(name: string): SourceLine {
  return { name, systemName: name, file: '', line: 0, startLine: 0 };
}

function moduleMapping(module: SegmentModule): MappingSpec {
  const { textStart, textEnd, textOffset, path, buildId } = module;
  return { start: textStart, limit: textEnd, offset: textOffset, file: path, buildId };
}

/** Allocated and in-use blocks and bytes, as values of the four sample types. */
function sampleValues(bucket: SegmentBucket, rate: number): Int64[] {
  // A torn bucket may show a free before its allocation; less than nothing is never in use.
  const inUse = Math.max(0, bucket.allocs - bucket.frees);
  const inUseBytes = Math.max(0, bucket.allocBytes - bucket.freeBytes);
  return [...scaleHeapSample(bucket.allocs, bucket.allocBytes, rate), ...scaleHeapSample(inUse, inUseBytes, rate)];
}

function sampleLabels(bucket: SegmentBucket): LabelSpec[] {
  const labels: LabelSpec[] = [{ key: ALLOCATOR_LABEL, str: 'c', num: 0, unit: '' }];
  const blockSize = Math.floor(bucket.allocBytes / bucket.allocs);
  if (blockSize > 0) labels.push({ key: BYTES_LABEL, str: '', num: blockSize, unit: '' });
  return labels;
}

/** The frame without its first lines; undefined when that is all of them. */
function dropLines(frame: Frame, count: number): Frame | undefined {
  if (count === 0) return frame;
  return count < frame.lines.length ? { ...frame, lines: frame.lines.slice(count) } : undefined;
}

/** Leaves out the allocator at the leaf: the first line that stays is the one that called it. */
function dropAllocator(stack: readonly Frame[]): Frame[] {
  const [leaf, ...callers] = stack;
  if (leaf === undefined) return [];
  const firstCaller = leaf.lines.findIndex((line) => !isAllocator(line));
  const rest = dropLines(leaf, firstCaller < 0 ? leaf.lines.length : firstCaller);
  return rest === undefined ? dropAllocator(callers) : [rest, ...callers];
}

/** What is left of a stack; but one of nothing but hidden frames is kept whole. */
function visibleFrames(stack: readonly FilteredFrame[]): Frame[] {
  const visible = dropAllocator(stack.flatMap(({ shown }) => shown ?? []));
  return visible.length > 0 ? visible : stack.map(({ whole }) => whole);
}

/** Turns buckets' frames into the builder's locations. */
class Locator {
  readonly #modules: ReadonlyMap<number, SegmentModule>;
  /** Module id → return address. Most frames stand in many stacks. */
  readonly #frames = new Map<number, Map<bigint, FilteredFrame>>();
  readonly #locations = new Map<Frame, number>();

  constructor(
    private readonly symbolized: SymbolizedSegment,
    private readonly builder: ProfileBuilder,
    private readonly showPlumbing: boolean,
  ) {
    const { modules } = symbolized.segment;
    this.#modules = new Map(modules.map((module) => [module.id, module]));
    const main = modules.find((module) => module.isExecutable);
    if (main !== undefined) builder.addMapping(moduleMapping(main));
  }

  /** Locations of a bucket's stack, leaf first. */
  locate(bucket: SegmentBucket): number[] {
    const stack = Array.from(bucket.frames, (pc, i) => this.#frame(bucket.frameModules[i] ?? 0, pc));
    const visible = visibleFrames(stack);
    if (bucket.truncated || bucket.goUnreachable) {
      const lines = [nameOnly(bucket.goUnreachable ? GO_UNREACHABLE : TRUNCATED)];
      visible.push({ mappingId: 0, address: 0n, lines });
    }
    return visible.map((frame) => this.#location(frame));
  }

  #frame(moduleId: number, pc: bigint): FilteredFrame {
    let known = this.#frames.get(moduleId);
    if (known === undefined) {
      known = new Map();
      this.#frames.set(moduleId, known);
    }
    let frame = known.get(pc);
    if (frame === undefined) {
      frame = this.#filter(this.#makeFrame(moduleId, pc), this.#isWrapper(moduleId, pc));
      known.set(pc, frame);
    }
    return frame;
  }

  /** A function that the Go compiler made (for `go f(x)`, for a method value): Go's own profiles leave it out. */
  #isWrapper(moduleId: number, pc: bigint): boolean {
    const known = this.symbolized.locations.get(moduleId)?.get(pc);
    return known?.isGo === true && known.lines.length === 0;
  }

  #filter(whole: Frame, isWrapper: boolean): FilteredFrame {
    if (isWrapper) return { whole, shown: undefined };
    const lines = whole.lines.filter((line) => isShown(line, this.showPlumbing));
    return { whole, shown: lines.length > 0 ? { ...whole, lines } : undefined };
  }

  #makeFrame(moduleId: number, pc: bigint): Frame {
    const address = pc - 1n;
    const module = this.#modules.get(moduleId);
    if (module === undefined) return { mappingId: 0, address, lines: [nameOnly(addressName('', address))] };
    const { id, shift } = this.builder.addMapping(moduleMapping(module));
    const known = this.symbolized.locations.get(moduleId)?.get(pc)?.lines ?? [];
    const lines = known.length > 0 ? known : [nameOnly(addressName(module.path, address - module.bias))];
    return { mappingId: id, address: address + shift, lines };
  }

  #location(frame: Frame): number {
    let id = this.#locations.get(frame);
    if (id === undefined) {
      const lines = frame.lines.map(({ line, ...fn }) => ({
        functionId: this.builder.addFunction(fn),
        line,
        column: 0,
      }));
      id = this.builder.addLocation(frame.mappingId, frame.address, lines);
      this.#locations.set(frame, id);
    }
    return id;
  }
}

function rateComment(rate: number): string {
  if (rate <= 1) return 'cgoprof: every C allocation was recorded';
  return `cgoprof: C allocations were sampled once per ${rate} bytes on average`;
}

/**
 * The C side of a merged profile, complete in itself. Comments state the rate and every loss.
 *
 * Formula and layout: runtime/pprof/protomem.go, proto.go.
 */
export function cProfile(symbolized: SymbolizedSegment, options: CProfileOptions): Profile {
  const { header, buckets } = symbolized.segment;
  const builder = new ProfileBuilder();
  const locator = new Locator(symbolized, builder, options.showPlumbing);
  for (const bucket of buckets) {
    if (bucket.kind !== KIND_HEAP || bucket.allocs === 0) continue;
    const locations = locator.locate(bucket);
    builder.addSample(locations, builder.addLabels(sampleLabels(bucket)), sampleValues(bucket, header.sampleRate));
  }
  return builder.build({
    timeNanos: options.timeNanos ?? BigInt(Date.now()) * 1_000_000n,
    durationNanos: 0,
    period: Math.max(1, header.sampleRate),
    comments: [rateComment(header.sampleRate), ...segmentNotes(symbolized.segment).map((note) => `cgoprof: ${note}`)],
    dropFrames: '',
    keepFrames: '',
    docUrl: '',
  });
}
