/**
 * Looks at the processes of a run while its command runs, because three things cannot be seen any more once it has ended:
 * that one executed another program, and so gave up what it had held, that somebody removed a segment, and why one has
 * none.
 */
import { basename } from 'node:path';
import type { Context } from '../context.js';
import type { NativeBinding, SegmentHeader } from '../native-binding.js';
import type { FoundSegment } from './find-segments.js';
import { hasMapped, SEGMENT_NAME, segmentFiles } from './find-segments.js';
import { mappedSegments } from './mapped-segments.js';
import { readLivingStat } from './processes.js';
import { readSegmentHeader } from './read-segment.js';
import { type FailedProcess, FailureWatch } from './watch-failures.js';

/** What happens between two looks is missed: an exec right before the end. */
const LOOK_EVERY_MS = 250;

interface Watched {
  readonly header: SegmentHeader;
  /** What its process ran when we last looked at what that has mapped; '' before. */
  readonly image: string;
  readonly executed: boolean;
}

/**
 * Processes are looked for under the pid by which they know themselves: in a pid namespace of its own one goes unseen, as
 * does one that executes a program whose /proc we may not read (setuid, unreadable file).
 */
export class RunWatch {
  /** Segments of the run whose process lives, by path. */
  readonly #living = new Map<string, Watched>();
  /** ... whose process has ended. */
  readonly #ended = new Set<string>();
  /** What lies beside them and is not of this run, or no segment. */
  readonly #others = new Set<string>();
  /** Segments of processes that executed another program, each as when it was made. */
  readonly #executed = new Map<string, bigint>();
  readonly #failures: FailureWatch;
  #removed = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    private readonly runId: string,
  ) {
    this.#failures = new FailureWatch(context.procRoot, runId);
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Looks for the last time. */
  stop(): void {
    clearInterval(this.#timer);
    this.look();
  }

  /** Whether the process of this segment went on as another program, to which the segment does not belong. */
  hasExecuted({ path, header }: FoundSegment): boolean {
    return this.#executed.get(path) === header.createdUnixNs;
  }

  /** How many segments were seen whose process has ended since, and that are not there any more. */
  get removed(): number {
    return this.#removed;
  }

  /** Processes that were to be profiled and could not be. */
  get failed(): readonly FailedProcess[] {
    return this.#failures.failed;
  }

  /** Looks once. Whatever goes wrong, the command is not to suffer from it. */
  look(): void {
    try {
      this.#failures.look();
      const listed = new Set(segmentFiles(this.context));
      for (const [path, watched] of this.#living) this.#check(path, watched);
      for (const path of this.#ended) {
        if (!listed.has(path)) this.#removed += Number(this.#ended.delete(path));
      }
      for (const path of this.#others) {
        if (!listed.has(path)) this.#others.delete(path);
      }
      for (const path of listed) this.#meet(path);
    } catch {
      // Seen less, nothing worse.
    }
  }

  #meet(path: string): void {
    if (this.#living.has(path) || this.#ended.has(path) || this.#others.has(path)) return;
    const header = this.#read(path);
    if (header?.runId === this.runId) {
      this.#check(path, { header, image: '', executed: false });
    } else if (header || !this.#maySoonBeReadable(path)) {
      this.#others.add(path);
    }
  }

  /** Costs the process next to nothing: what it has mapped is read only when it is new or has executed something. */
  #check(path: string, watched: Watched): void {
    const stat = readLivingStat(this.context.procRoot, watched.header.pid);
    if (stat?.startTimeTicks !== watched.header.startTimeTicks) {
      this.#living.delete(path);
      this.#ended.add(path);
    } else {
      this.#living.set(path, this.#follow(path, watched, stat.image));
    }
  }

  #follow(path: string, watched: Watched, image: string): Watched {
    if (image === watched.image && !watched.executed) return watched;
    // Under --follow the next program makes a segment of the same name, sooner or later.
    const header = this.#read(path) ?? watched.header;
    if (image === watched.image && header.createdUnixNs === watched.header.createdUnixNs) return watched;
    const executed = this.#runsWithout(path, header.pid);
    // Without an answer it is asked again next time.
    if (executed === undefined) return { ...watched, image: '' };
    if (executed) this.#executed.set(path, header.createdUnixNs);
    return { header, image, executed };
  }

  /** Undefined if that cannot be told: it is ending, or has become another user's. */
  #runsWithout(path: string, pid: number): boolean | undefined {
    try {
      const mapped = mappedSegments(this.context.procRoot, pid);
      return mapped.ending ? undefined : !hasMapped(mapped, path);
    } catch {
      return undefined;
    }
  }

  #read(path: string): SegmentHeader | undefined {
    try {
      return readSegmentHeader(this.native, path);
    } catch {
      return undefined;
    }
  }

  /** Its process may be about to lay it out. */
  #maySoonBeReadable(path: string): boolean {
    const [, pid, startTimeTicks] = SEGMENT_NAME.exec(basename(path)) ?? [];
    return `${readLivingStat(this.context.procRoot, Number(pid))?.startTimeTicks}` === startTimeTicks;
  }
}
