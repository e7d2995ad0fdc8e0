/**
 * A symbolized segment as a pprof heap profile, such as runtime/pprof would write it: counts scaled per bucket, the line
 * that called malloc at the leaf, the Go callers above.
 */
import type { Profile } from 'pprof-format';
import type { Segment, SegmentBucket, SegmentHeader, SegmentModule, SourceLine } from '../native-binding.js';
import type { SymbolizedSegment } from '../symbolize/symbolize-segment.js';
import { earlierBuckets } from './earlier-buckets.js';
import { isAllocator, isShown } from './frame-filter.js';
import { ALLOCATOR_LABEL, BYTES_LABEL } from './heap-profile.js';
import { addInt64, type Int64, int64 } from './int64.js';
import { type LabelSpec, type MappingSpec, ProfileBuilder, type ProfileHeader } from './profile-builder.js';
import { scaleHeapSample } from './scale-heap-sample.js';
import { attachNotes, segmentNotes } from './segment-notes.js';
import { addressName } from './unnamed-frame.js';

export interface CProfileOptions {
  /** Keep the frames that cgo itself puts between Go and C. */
  readonly showPlumbing: boolean;
  /** When the segment was read, Unix time in ns; now by default. */
  readonly timeNanos?: bigint;
  /** An earlier reading of the segment: only what has changed since. Values may be negative. */
  readonly since?: Segment;
}

/** SegmentBucket.kind of blocks of the malloc family. */
export const KIND_HEAP = 1;

/** Root frames of stacks whose root end is missing, so that nobody takes the outermost known frame for the origin. */
const TRUNCATED = '[truncated stack]';
const GO_UNREACHABLE = '[goroutine not reachable]';

/** Stands for all that was in use when the library was attached, by whatever stacks it had been allocated. */
const BEFORE_ATTACH = '[allocated before attach]';

/** Stands for the whole stack of samples that found no room for theirs. */
const NOT_RECORDED = '[stack not recorded: table full]';

/** All frames that are no code. Only ever added to: their places in text profiles are told apart by their order. */
export const PSEUDO_FRAMES: readonly string[] = [TRUNCATED, GO_UNREACHABLE, BEFORE_ATTACH, NOT_RECORDED];

/** One location, before functions are shared. */
class Frame {
  /** In the builder, once a stack has shown it. */
  locationId: number | undefined;

  /**
   * @param address Inside the call: return address - 1, as in Go's profiles.
   * @param lines Innermost inlined function first, never empty.
   */
  constructor(
    readonly mappingId: number,
    readonly address: bigint,
    readonly lines: readonly SourceLine[],
  ) {}

  /** With some of its lines; undefined when there are none. */
  withLines(lines: readonly SourceLine[]): Frame | undefined {
    return lines.length > 0 ? new Frame(this.mappingId, this.address, lines) : undefined;
  }
}

interface FilteredFrame {
  readonly whole: Frame;
  /** Without the lines that are hidden wherever they stand; undefined when none is left. */
  readonly shown: Frame | undefined;
  /** What is left of that at the leaf: there the allocator is hidden as well. */
  readonly leaf: Frame | undefined;
}

function nameOnly(name: string): SourceLine {
  return { name, systemName: name, file: '', line: 0, startLine: 0 };
}

function moduleMapping(module: SegmentModule): MappingSpec {
  const { textStart, textEnd, textOffset, path, buildId } = module;
  return { start: textStart, limit: textEnd, offset: textOffset, file: path, buildId };
}

/** What of a bucket is not freed. A torn one may show a free before its allocation; less than nothing is never in use. */
export function inUseOf({ allocs, frees, allocBytes, freeBytes }: SegmentBucket): [blocks: number, bytes: number] {
  return [Math.max(0, allocs - frees), Math.max(0, allocBytes - freeBytes)];
}

/** Allocated and in-use blocks and bytes, as values of the four sample types. */
function sampleValues(bucket: SegmentBucket, rate: number): Int64[] {
  const { allocs, allocBytes } = bucket;
  return [...scaleHeapSample(allocs, allocBytes, rate), ...scaleHeapSample(...inUseOf(bucket), rate)];
}

/** What of its values is not from before. */
function changedValues(bucket: SegmentBucket, before: SegmentBucket | undefined, rate: number): Int64[] {
  const values = sampleValues(bucket, rate);
  if (before === undefined) return values;
  return sampleValues(before, rate).map((value, i) => addInt64(values[i] ?? 0, -value));
}

function sampleLabels(blockSize: number): LabelSpec[] {
  const labels: LabelSpec[] = [{ key: ALLOCATOR_LABEL, str: 'c', num: 0, unit: '' }];
  if (blockSize > 0) labels.push({ key: BYTES_LABEL, str: '', num: blockSize, unit: '' });
  return labels;
}

/** Leaves out the allocator at the leaf end: the first line that stays is the one that called it. */
function dropAllocator(frame: Frame): Frame | undefined {
  const first = frame.lines.findIndex((line) => !isAllocator(line));
  if (first === 0) return frame;
  return frame.withLines(first < 0 ? [] : frame.lines.slice(first));
}

/** Turns buckets' frames into the builder's locations. */
class Locator {
  readonly #modules: ReadonlyMap<number, SegmentModule>;
  /** Module id → return address. Most frames stand in many stacks. */
  readonly #frames = new Map<number, Map<bigint, FilteredFrame>>();
  /** SegmentBucket.frames → locations. */
  readonly #stacks = new Map<BigUint64Array, number[]>();
  readonly #truncated = new Frame(0, 0n, [nameOnly(TRUNCATED)]);
  readonly #goUnreachable = new Frame(0, 0n, [nameOnly(GO_UNREACHABLE)]);
  readonly #notRecorded = new Frame(0, 0n, [nameOnly(NOT_RECORDED)]);
  readonly #beforeAttach = new Frame(0, 0n, [nameOnly(BEFORE_ATTACH)]);

  constructor(
    private readonly symbolized: SymbolizedSegment,
    private readonly builder: ProfileBuilder,
    private readonly showPlumbing: boolean,
  ) {
    const { modules } = symbolized.segment;
    this.#modules = new Map(modules.map((module) => [module.id, module]));
    const main = modules.find((module) => module.isExecutable);
    // The first mapping stands for the main binary, used or not.
    if (main !== undefined && !builder.hasMappings) builder.addMapping(moduleMapping(main));
  }

  /** Locations of a bucket's stack, leaf first. */
  locate(bucket: SegmentBucket): number[] {
    if (bucket.frames.length === 0) return [this.#location(this.#notRecorded)];
    let stack = this.#stacks.get(bucket.frames);
    if (stack === undefined) {
      stack = this.#visible(bucket) ?? this.#whole(bucket);
      this.#stacks.set(bucket.frames, stack);
    }
    if (!bucket.truncated && !bucket.goUnreachable) return stack;
    return [...stack, this.#location(bucket.goUnreachable ? this.#goUnreachable : this.#truncated)];
  }

  /** Of what was allocated before anybody looked. */
  locateBeforeAttach(): number[] {
    return [this.#location(this.#beforeAttach)];
  }

  /** What is left of a stack without the hidden frames; undefined when nothing is. */
  #visible({ frames, frameModules }: SegmentBucket): number[] | undefined {
    const locations: number[] = [];
    for (let i = 0; i < frames.length; i++) {
      const { shown, leaf } = this.#frame(frameModules[i] ?? 0, frames[i] ?? 0n);
      const frame = locations.length === 0 ? leaf : shown;
      if (frame !== undefined) locations.push(this.#location(frame));
    }
    return locations.length > 0 ? locations : undefined;
  }

  /** A stack of nothing but hidden frames is kept whole. */
  #whole({ frames, frameModules }: SegmentBucket): number[] {
    return Array.from(frames, (pc, i) => this.#location(this.#frame(frameModules[i] ?? 0, pc).whole));
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
    const shown = whole.withLines(isWrapper ? [] : whole.lines.filter((line) => isShown(line, this.showPlumbing)));
    return { whole, shown, leaf: shown && dropAllocator(shown) };
  }

  #makeFrame(moduleId: number, pc: bigint): Frame {
    const address = pc - 1n;
    const module = this.#modules.get(moduleId);
    if (module === undefined) return new Frame(0, address, [nameOnly(addressName('', address))]);
    const { id, shift } = this.builder.addMapping(moduleMapping(module));
    const known = this.symbolized.locations.get(moduleId)?.get(pc)?.lines ?? [];
    const lines = known.length > 0 ? known : [nameOnly(addressName(module.path, address - module.bias))];
    return new Frame(id, address + shift, lines);
  }

  #location(frame: Frame): number {
    frame.locationId ??= this.#addLocation(frame);
    return frame.locationId;
  }

  #addLocation({ mappingId, address, lines }: Frame): number {
    const specs = lines.map(({ line, ...fn }) => ({ functionId: this.builder.addFunction(fn), line, column: 0 }));
    return this.builder.addLocation(mappingId, address, specs);
  }
}

function rateComment(rate: number): string {
  if (rate <= 1) return 'cgoprof: every C allocation was recorded';
  return `cgoprof: C allocations were sampled once per ${rate} bytes on average`;
}

/** In use when the library was attached, of which nobody knows what was freed since; null without an attach, or an account. */
export function bytesBeforeAttach({ attachments, beforeAttachBytes }: SegmentHeader): number | null {
  return attachments > 0 ? (beforeAttachBytes ?? null) : null;
}

/**
 * The C side of a merged profile: what goes into a builder, alone or beside Go's. Comments state the rate and every loss.
 *
 * Formula and layout: runtime/pprof/protomem.go, proto.go.
 */
export class CSide {
  readonly header: ProfileHeader;

  constructor(
    private readonly symbolized: SymbolizedSegment,
    private readonly options: CProfileOptions,
  ) {
    const { header } = symbolized.segment;
    const notes = [...attachNotes(header), ...segmentNotes(symbolized.segment)];
    this.header = {
      timeNanos: int64(options.timeNanos ?? BigInt(Date.now()) * 1_000_000n),
      durationNanos: 0,
      period: Math.max(1, header.sampleRate),
      comments: [rateComment(header.sampleRate), ...notes.map((note) => `cgoprof: ${note}`)],
      dropFrames: '',
      keepFrames: '',
      docUrl: '',
    };
  }

  /** By itself. */
  profile(): Profile {
    const builder = new ProfileBuilder();
    this.addTo(builder);
    return builder.build(this.header);
  }

  /** May be done again, for another builder. */
  addTo(builder: ProfileBuilder): void {
    const { segment } = this.symbolized;
    const { showPlumbing, since } = this.options;
    const locator = new Locator(this.symbolized, builder, showPlumbing);
    const before = since && earlierBuckets(segment, since);
    const labelSets = new Map<number, number>();
    for (const bucket of segment.buckets) {
      if (bucket.kind !== KIND_HEAP || bucket.allocs === 0) continue;
      const values = changedValues(bucket, before?.get(bucket), segment.header.sampleRate);
      if (values.every((value) => value === 0)) continue;
      const blockSize = Math.floor(bucket.allocBytes / bucket.allocs);
      const labels = labelSets.get(blockSize) ?? builder.addLabels(sampleLabels(blockSize));
      labelSets.set(blockSize, labels);
      builder.addSample(locator.locate(bucket), labels, values);
    }
    const earlier = since && bytesBeforeAttach(since.header);
    const beforeAttach = (bytesBeforeAttach(segment.header) ?? 0) - (earlier ?? 0);
    if (beforeAttach === 0) return;
    // The allocator knows the bytes, and how many blocks they are nobody.
    const values = [0, beforeAttach, 0, beforeAttach];
    builder.addSample(locator.locateBeforeAttach(), builder.addLabels(sampleLabels(0)), values);
  }
}

/** The C side by itself. */
export function cProfile(symbolized: SymbolizedSegment, options: CProfileOptions): Profile {
  return new CSide(symbolized, options).profile();
}
