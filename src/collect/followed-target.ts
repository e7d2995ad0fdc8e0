/**
 * A target over time: which segment stands for it now. Its process may end; what it left is then all there is.
 */
import { closeSync, openSync } from 'node:fs';
import type { Context } from '../context.js';
import type { NativeBinding } from '../native-binding.js';
import type { FoundSegment } from './find-segments.js';
import { keyOf, processKey, readLivingStat } from './processes.js';
import { readSegmentHeader } from './read-segment.js';
import { resolveTarget } from './target.js';

/** The segment that stands for a target. One object for as long as that is so. */
export interface FollowedSegment {
  /** As it was found. Its path may be gone with the process; {@link path} is not. */
  readonly found: FoundSegment;
  /** To read from, at any time: a descriptor of ours keeps the file. */
  readonly path: string;
  /** The process that writes it, while it lives and is the same program. */
  readonly livePid: number | undefined;
}

/** The descriptor of a segment, and how to see that its process still writes it. */
class HeldSegment {
  readonly path: string;
  readonly #fd: number;
  readonly #image: string | undefined;

  constructor(
    private readonly context: Context,
    readonly found: FoundSegment,
  ) {
    this.#fd = openSync(found.path, 'r');
    this.path = `${context.procRoot}/self/fd/${this.#fd}`;
    this.#image = this.#currentImage();
  }

  /** Undefined once it has ended, or executes another program. */
  get livePid(): number | undefined {
    return this.#image !== undefined && this.#currentImage() === this.#image ? this.found.livePid : undefined;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #currentImage(): string | undefined {
    const { livePid, header } = this.found;
    if (livePid === undefined) return undefined;
    const { procRoot } = this.context;
    if (keyOf(procRoot, livePid) !== processKey(header.pid, header.startTimeTicks)) return undefined;
    return readLivingStat(procRoot, livePid)?.image;
  }
}

/** Follows a pid or a segment file. */
export class FollowedTarget {
  #held: HeldSegment | undefined;

  /** @param target A pid or a segment file. */
  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    readonly target: string,
  ) {}

  /** @throws CgoprofError while there is nothing to read */
  current(): FollowedSegment {
    const held = this.#held ?? this.#hold(resolveTarget(this.context, this.native, this.target));
    const { found, path, livePid } = held;
    return { found, path, livePid };
  }

  close(): void {
    this.#held?.close();
    this.#held = undefined;
  }

  #hold(found: FoundSegment): HeldSegment {
    this.#held = new HeldSegment(this.context, found);
    // What was opened is what was found, and not what came to its path meanwhile.
    readSegmentHeader(this.native, this.#held.path);
    return this.#held;
  }
}
