/**
 * The native addon, typed: the only file that loads cgoprof.node.
 *
 * The addon reads what must not be trusted (segments, ELF, DWARF, .gopclntab) and hands back plain, checked values.
 * Everything else in src/ works on the types below and can be tested without the addon.
 */
import { createRequire } from 'node:module';

/** How the writer of a segment last described itself. */
export type SegmentState = 'starting' | 'running' | 'paused' | 'exited';

export type SegmentWish = 'record' | 'pause';

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
  /** Frees of blocks that are not in the books; only counted where every block is recorded. */
  readonly unknownFrees: number;
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
  /** What the tool wants of the writer; set by {@link NativeBinding.setSegmentWish}. */
  readonly wish: SegmentWish;
  /**
   * How often recording began in a process that ran already: the library was attached, or was preloaded and asked to. 0
   * where it began with the process.
   */
  readonly attachments: number;
  /** Of the last attachment; 0 without one. */
  readonly attachedUnixNs: bigint;
  /**
   * Bytes in use, by the allocator's own account, right before recording began at the last attachment. Undefined where
   * the allocator gives no account, and without an attachment.
   */
  readonly beforeAttachBytes: number | undefined;
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

export interface AttachRequest {
  readonly pid: number;
  /** attach: load the library if it is not, put the hooks in, record. detach: pause, take the hooks out. */
  readonly action: 'attach' | 'detach';
  /** libcgoprof.so, as this process sees it. */
  readonly libraryPath: string;
  /** Mean bytes between samples; 0: the library's default, or what the segment that is there has. */
  readonly rate: number;
  /** Directory of the segment, as the target sees it; '' for the default. */
  readonly directory: string;
  /** How long to look for a thread that may be used, and then to wait for the library's answer. */
  readonly deadlineMs: number;
  /** Go on where the target has a seccomp filter that cannot be read. */
  readonly trustSeccomp: boolean;
  /** Do not ask the allocator what is in use: it holds its locks while it counts, which may take long. */
  readonly skipAccount: boolean;
}

export interface AttachResult {
  /** The segment, as the target sees it. */
  readonly segment: string;
  /** How long one thread of the target was stopped, in all. Nanoseconds. */
  readonly stoppedNs: number;
  /** Which one. */
  readonly threadId: number;
  /** Threads that were stopped, found at no safe point, and let go. */
  readonly attempts: number;
  /** Places of the target's memory that lead to the hooks now, or do not any more. */
  readonly patched: number;
  /** How long the allocator took to say what is in use; its locks are held meanwhile. Nanoseconds. */
  readonly accountNs: number;
}

/** `code` of an error thrown by {@link NativeBinding.attach}; the error's `detail` is what it says about each. */
export type AttachErrorCode =
  | 'GONE' // no such process, or it ended meanwhile
  | 'ZOMBIE'
  | 'STOPPED' // by a signal (state T)
  | 'TRACED' // detail: the tracer's pid
  | 'NOT_PERMITTED' // by the kernel; see its rules, ptrace(2)
  | 'MACHINE' // not an amd64 process. detail: what it is
  | 'STATIC' // no dynamic loader
  | 'MUSL' // a libc that is not glibc. detail: its path
  | 'LIBC' // glibc, but a function is not found in it. detail: its name
  | 'SHADOW_STACK' // its threads have shadow stacks
  | 'SANITIZER' // it was built with a sanitizer that must know of every thread. detail: a function of it
  | 'OVERWRITTEN' // the file of a library that it uses was overwritten in place, and the loader looks at all. detail: its path
  | 'SECCOMP_FORBIDS' // detail: name of the system call
  | 'SECCOMP_UNKNOWN' // a filter that we may not read
  | 'NO_SAFE_POINT' // detail: how many threads it has
  | 'FORBIDDEN' // the kernel refused the target a system call. detail: its name
  | 'NO_MEMORY' // the target could not map what it takes, or make a file of memory. detail: the system's words
  | 'LIBRARY_VERSION' // an attached library that speaks another version of the mailbox
  | 'LOADER' // dlopen failed in the target. detail: dlerror's words
  | 'LIBRARY' // the library failed. detail: its word
  | 'BUSY' // no answer before the deadline, likely as another thread holds the loader's lock; it was told not to begin
  | 'LOST'; // the thread was started, but nothing was heard of it

export interface NativeBinding {
  /** Off the main thread. @throws Error with an {@link AttachErrorCode} in `code`, and `detail`; or EIO. */
  attach(request: AttachRequest): Promise<AttachResult>;
  /** Tells the writer of a segment to pause or to go on. @throws Error with a NativeErrorCode in `code`. */
  setSegmentWish(path: string, wish: SegmentWish): void;
  /** Reads a segment file. Never blocks on the writer. @throws Error with a NativeErrorCode in `code`. */
  readSegment(path: string): Segment;
  /** Only the header: cheap. @throws as readSegment. */
  readSegmentHeader(path: string): SegmentHeader;
  /** Looks up addresses of one module off the main thread. A module that cannot be read is a warning, not an error. */
  symbolizeModule(request: SymbolizeRequest): Promise<SymbolizeResult>;
  /** @throws Error with code ENOENT, EACCES or EIO. */
  inspectExecutable(path: string): ExecutableInfo;
  /** Has the malloc of this process give large blocks back at once: for one that lives long. */
  keepAllocatorSmall(): void;
}

const require = createRequire(import.meta.url);

/** The addon, loaded once. */
export const native: NativeBinding = require('../build/Release/cgoprof.node') as NativeBinding;
