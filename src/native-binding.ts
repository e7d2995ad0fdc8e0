/**
 * The native addon, typed: the only file that loads cgoprof.node.
 *
 * The addon reads what must not be trusted (segments, ELF, DWARF, .gopclntab) and hands back plain, checked values.
 * Everything else in src/ works on the types below and can be tested without the addon.
 */
import { createRequire } from 'node:module';

/** How the writer of a segment last described itself. */
export type SegmentState = 'starting' | 'running' | 'paused' | 'exited';

/** One load of one ELF image in the target. Addresses are run-time addresses of the target. */
export interface SegmentModule {
  /** Index + 1 in the segment: the number that {@link SegmentBucket.frameModules} holds. */
  readonly id: number;
  /** Path as the target saw it (in its own mount namespace). */
  readonly path: string;
  /** GNU build id, lower-case hex; '' when the image has none. */
  readonly buildId: string;
  readonly imageStart: bigint;
  readonly imageEnd: bigint;
  /** Run-time address - ELF virtual address. */
  readonly bias: bigint;
  readonly textStart: bigint;
  readonly textEnd: bigint;
  /** File offset of the first executable segment, bytes. */
  readonly textOffset: bigint;
  readonly isExecutable: boolean;
  readonly isGo: boolean;
  readonly isVdso: boolean;
}

/** Allocations at one stack in one size class. Counts are raw (unscaled). */
export interface SegmentBucket {
  /** 1 = heap. */
  readonly kind: number;
  readonly sizeClass: number;
  readonly allocs: number;
  readonly frees: number;
  readonly allocBytes: number;
  readonly freeBytes: number;
  /** It changed whenever it was read: blocks and bytes, or allocations and frees, may be of different moments. */
  readonly torn: boolean;
  /** The root end of the stack is missing. */
  readonly truncated: boolean;
  /** ... because the goroutine's frames could not be reached. */
  readonly goUnreachable: boolean;
  /** Return addresses, leaf first. Buckets that point at one stack have the same object here, and in frameModules. */
  readonly frames: BigUint64Array;
  /** Module id per frame; 0 = no known module. */
  readonly frameModules: Uint16Array;
}

/** What was not recorded in full, or is not there any more. */
export interface SegmentCounters {
  readonly droppedBuckets: number;
  readonly droppedLive: number;
  readonly truncatedStacks: number;
  readonly goBoundaryFailed: number;
  readonly missedFrees: number;
  readonly lostModules: number;
  /**
   * Segments of dead processes of the same run that were removed to make room, when this one was made and before. Over
   * the segments that are left it adds up to all of them, but for what others removed.
   */
  readonly prunedSegments: number;
}

export interface SegmentHeader {
  readonly abiMajor: number;
  readonly abiMinor: number;
  readonly state: SegmentState;
  /** As the target saw itself, in its own pid namespace. */
  readonly pid: number;
  readonly uid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTimeTicks: bigint;
  readonly createdUnixNs: bigint;
  /** CGOPROF_RUN_ID of the `cgoprof run` that started it, lower-case hex without leading zeros; '0' for none. */
  readonly runId: string;
  /** Mean bytes between samples; 1 = every allocation. */
  readonly sampleRate: number;
  /** Lower-case hex, 32 digits. */
  readonly bootId: string;
  readonly exePath: string;
  readonly counters: SegmentCounters;
  /** Allocations recorded. */
  readonly samples: number;
  /** Live-set entries in use. */
  readonly liveSamples: number;
  /** Memory the segment occupies, bytes. */
  readonly committedBytes: number;
}

export interface Segment {
  readonly header: SegmentHeader;
  readonly modules: readonly SegmentModule[];
  readonly buckets: readonly SegmentBucket[];
}

/** `code` of an error thrown by the addon. Any other error is a defect of ours. */
export type NativeErrorCode =
  | 'ENOENT' // no such file
  | 'EACCES' // not allowed to read it
  | 'EIO' // any other system error; the message has strerror's words
  | 'NOT_A_SEGMENT' // wrong magic
  | 'SEGMENT_VERSION' // right magic, an ABI major this build does not read
  | 'SEGMENT_STARTING' // the writer has not finished laying it out
  | 'SEGMENT_DAMAGED'; // truncated, or regions that contradict the file

/** One line of one location. `name` is what a profile shows; a Go name is exactly the runtime's own. */
export interface SourceLine {
  readonly name: string;
  /** Linkage name (mangled); equals name where there is none. */
  readonly systemName: string;
  /** Absolute path as recorded at compile time; '' unknown. */
  readonly file: string;
  /** 1-based; 0 unknown. */
  readonly line: number;
  /** First line of the function; 0 unknown. */
  readonly startLine: number;
}

export interface SymbolizeRequest {
  /** Files that may be the module's image, best first: the first readable one whose build id matches is used. */
  readonly files: readonly string[];
  /** Expected GNU build id, hex; '' accepts any file. */
  readonly buildId: string;
  /** ELF virtual addresses (run-time address - bias), already moved back into the call (return address - 1). */
  readonly addresses: BigUint64Array;
  /** Roots that are searched for separate debug files: ROOT/.build-id/xx/yyyy.debug and ROOT/<dir>/<debuglink>. */
  readonly debugRoots: readonly string[];
}

export interface SymbolizeResult {
  /**
   * Per address, innermost inlined function first; [] when nothing is known, and where isGo is 1 for a wrapper that the
   * Go compiler made (method value, `go f(x)`): Go's own profiles leave those out.
   */
  readonly lines: readonly (readonly SourceLine[])[];
  /** 1 where the address lies in Go code (per .gopclntab). */
  readonly isGo: Uint8Array;
  /** The file that was used; '' when none could be. */
  readonly file: string;
  /** Why lines are missing, one clause for people; '' when all is well. */
  readonly warning: string;
}

/** What an executable is, as far as preloading into it matters. */
export interface ExecutableInfo {
  readonly format: 'elf' | 'script' | 'other';
  /** 'amd64', 'arm64', or the e_machine number. '' unless elf. */
  readonly machine: string;
  /** Has PT_INTERP: the dynamic loader runs, so LD_PRELOAD works. */
  readonly dynamic: boolean;
  /** Loader path (PT_INTERP) or a script's #! interpreter; '' none. */
  readonly interpreter: string;
  /** Carries a Go build-id note. */
  readonly isGo: boolean;
  /** Has an allocator that defines malloc linked into it, so a preloaded library never sees it called. */
  readonly hasOwnMalloc: boolean;
  /** Carries file capabilities (security.capability), so the loader ignores LD_PRELOAD. */
  readonly hasCapabilities: boolean;
}

export interface NativeBinding {
  /** Reads a segment file. Never blocks on the writer. @throws Error with a NativeErrorCode in `code`. */
  readSegment(path: string): Segment;
  /** Only the header: cheap. @throws as readSegment. */
  readSegmentHeader(path: string): SegmentHeader;
  /** Looks up addresses of one module off the main thread. A module that cannot be read is a warning, not an error. */
  symbolizeModule(request: SymbolizeRequest): Promise<SymbolizeResult>;
  /** @throws Error with code ENOENT, EACCES or EIO. */
  inspectExecutable(path: string): ExecutableInfo;
}

const require = createRequire(import.meta.url);

/** The addon, loaded once. */
export const native: NativeBinding = require('../build/Release/cgoprof.node') as NativeBinding;
