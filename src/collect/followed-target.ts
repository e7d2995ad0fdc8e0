/**
 * A target over time: which segment stands for it now. Its process may end, and another may follow; until then what it
 * left is all there is.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { type Context, say } from '../context.js';
import { CgoprofError, systemReason } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { commandLine } from './command-line.js';
import { type FoundSegment, fileId } from './find-segments.js';
import { NO_IMAGE, type ProcessStat, readLivingStat } from './processes.js';
import { readSegmentHeader } from './read-segment.js';
import { fileSystemRoot } from './target.js';
import type { Candidate, TargetSource } from './target-sources.js';

/** How the process of a segment came to its end. */
export interface SegmentEnd {
  /** When that was seen; undefined if it had ended before it was looked at. */
  readonly at: Date | undefined;
  /**
   * exited: its exit handlers ran. died: they did not, as it was killed, or ended as Go programs do. executed: it runs on,
   * as another program.
   */
  readonly how: 'exited' | 'died' | 'executed';
}

/** The segment that stands for a target. One object for as long as that is so, and its process has not ended. */
export interface FollowedSegment {
  /** As it was found. Its path may be gone with the process; {@link path} is not. */
  readonly found: FoundSegment;
  /** To read from, until another segment stands for the target: a descriptor of ours keeps the file. */
  readonly path: string;
  /** The process that writes it, while it lives and is the same program. */
  readonly livePid: number | undefined;
  /** Whether it lives, or lived, in another file system than ours; undefined where that was not seen. */
  readonly elsewhere?: boolean | undefined;
  /** With which its process was started, separated by NUL bytes, as it was found; undefined where that had ended before. */
  readonly words?: Uint8Array | undefined;
  /** Undefined while it lives. */
  readonly end: SegmentEnd | undefined;
}

const HOW: Readonly<Record<SegmentEnd['how'], string>> = {
  exited: 'it exited',
  died: 'killed, or by an exit of Go’s own',
  executed: 'it executed another program',
};

/** What stands for a target now; undefined while nothing does. */
export function currentOf(target: { current(): FollowedSegment }): FollowedSegment | undefined {
  try {
    return target.current();
  } catch (error) {
    if (error instanceof CgoprofError) return undefined;
    throw error;
  }
}

/** What to tell of a segment whose process has ended, one clause; undefined while it lives. */
export function endNote({ found, end }: FollowedSegment): string | undefined {
  if (end === undefined) return undefined;
  const when = end.at === undefined ? 'before it was served' : `at ${end.at.toISOString()}`;
  return `pid ${pidOf(found)} has ended (${HOW[end.how]}) ${when}; this is what its segment holds`;
}

function pidOf({ livePid, header }: FoundSegment): number {
  return livePid ?? header.pid;
}

/** The descriptor of a segment, and how to see that its process still writes it. */
class HeldSegment {
  readonly #fd: number;
  readonly #stat: ProcessStat | undefined;
  #now: FollowedSegment;

  /** @throws CgoprofError when it has gone meanwhile */
  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    { found, stat }: Candidate,
  ) {
    this.#fd = openRead(found.path);
    this.#stat = stat;
    const path = `${context.procRoot}/self/fd/${this.#fd}`;
    const elsewhere = isElsewhere(context, found.livePid);
    const words = found.livePid === undefined ? undefined : commandLine(context.procRoot, found.livePid);
    this.#now = { found, path, livePid: found.livePid, elsewhere, words, end: undefined };
    try {
      // What was opened is what was found, and not what came to its path meanwhile.
      const { createdUnixNs } = readSegmentHeader(native, path);
      if (createdUnixNs !== found.header.createdUnixNs) throw replaced(found.path);
      if (stat === undefined) this.#end(undefined);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Looks whether its process lives. Once it has ended, it has. */
  look(): FollowedSegment {
    if (this.#now.end === undefined && !this.#isWritten()) this.#end(new Date());
    return this.#now;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Pids are used again, but not within a tick of the clock. */
  #isWritten(): boolean {
    const stat = this.#currentStat();
    return stat !== undefined && stat.image === this.#stat?.image;
  }

  #currentStat(): ProcessStat | undefined {
    const { livePid } = this.#now.found;
    const stat = livePid === undefined ? undefined : readLivingStat(this.context.procRoot, livePid);
    return stat?.startTimeTicks === this.#stat?.startTimeTicks ? stat : undefined;
  }

  #end(at: Date | undefined): void {
    this.#now = { ...this.#now, livePid: undefined, end: { at, how: this.#howEnded() } };
  }

  #howEnded(): SegmentEnd['how'] {
    const stat = this.#currentStat();
    if (stat !== undefined && stat.image !== NO_IMAGE) return 'executed';
    try {
      return readSegmentHeader(this.native, this.#now.path).state === 'exited' ? 'exited' : 'died';
    } catch {
      return 'died'; // It damaged its segment as well.
    }
  }
}

/** As in a container; once the process has ended, nobody can tell any more. */
function isElsewhere(context: Context, livePid: number | undefined): boolean | undefined {
  const root = livePid === undefined ? undefined : fileId(fileSystemRoot(context, livePid));
  return root === undefined ? undefined : root !== fileId('/');
}

function openRead(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new CgoprofError({ what: path, why: systemReason(error), cause: error });
  }
}

function replaced(path: string): CgoprofError {
  return new CgoprofError({ what: path, why: 'was replaced while it was looked at', hint: 'Try again.' });
}

/** How long nothing new is looked for after a look, ms: it takes a look at every process of the machine. */
const LOOK_EVERY_MS = 1_000;

/** ... and where there are thousands, as often as leaves it a twentieth of the time. */
const MAX_SHARE = 1 / 20;

/** Follows a target from segment to segment; holds one descriptor. */
export class FollowedTarget {
  #held: HeldSegment | undefined;
  #current: FollowedSegment | undefined;
  #nextLookAt = Number.NEGATIVE_INFINITY;
  #missing: CgoprofError | undefined;
  #isClosed = false;

  /** @param name By which people know it. */
  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    readonly name: string,
    private readonly source: TargetSource,
  ) {}

  /** Cheap to ask, as often as one likes. @throws CgoprofError while there is nothing to read, and once it is closed */
  current(): FollowedSegment {
    if (this.#isClosed) throw new CgoprofError({ what: this.name, why: 'is not served any more' });
    const before = this.#current;
    this.#current = this.#held?.look();
    if (this.#current !== undefined && this.#current !== before) this.#sayEnded(this.#current);
    if (this.#current === undefined || this.#current.end !== undefined) this.#lookForNext(this.#current !== before);
    if (this.#current === undefined) throw this.#missing ?? new Error('a target without a source');
    return this.#current;
  }

  /**
   * For whoever is about to ask its service something: by the time its process has ended, another may listen there.
   *
   * @throws CgoprofError unless its process lives
   */
  checkLives(): void {
    const note = endNote(this.current());
    if (note === undefined) return;
    throw new CgoprofError({ what: this.name, why: 'its service is not asked any more', hint: `${note}.` });
  }

  /** Looks for what follows without waiting until it is time to. */
  lookNow(): void {
    if (this.#isClosed) return;
    this.#current = this.#held?.look();
    if (this.#current === undefined || this.#current.end !== undefined) this.#lookForNext(true);
  }

  close(): void {
    this.#isClosed = true;
    this.#held?.close();
    this.#held = undefined;
    this.#current = undefined;
  }

  /** @param atOnce However short ago it was looked for. */
  #lookForNext(atOnce: boolean): void {
    const begun = performance.now();
    if (!atOnce && begun < this.#nextLookAt) return;
    try {
      const next = this.source(this.#current?.found);
      if (next !== undefined) this.#hold(new HeldSegment(this.context, this.native, next));
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error;
      this.#missing = error;
    } finally {
      const took = performance.now() - begun;
      this.#nextLookAt = begun + Math.max(LOOK_EVERY_MS, took / MAX_SHARE);
    }
  }

  #hold(held: HeldSegment): void {
    const follows = this.#held !== undefined || this.#missing !== undefined;
    this.#held?.close();
    this.#held = held;
    this.#current = held.look();
    if (follows) say(this.context, `${this.name}: pid ${pidOf(this.#current.found)} is served now`);
    this.#sayEnded(this.#current);
  }

  #sayEnded(now: FollowedSegment): void {
    const note = endNote(now);
    if (note !== undefined) say(this.context, `${this.name}: ${note}`);
  }
}
