/**
 * Looks at the segments of a run while its command runs, because two things cannot be seen any more once it has ended:
 * that a process executed another program, and so gave up what it had held, and that somebody removed a segment.
 */
import { existsSync } from 'node:fs';
import type { Context } from '../context.js';
import type { NativeBinding, SegmentHeader } from '../native-binding.js';
import { fileId, hasMapped, segmentFiles } from './find-segments.js';
import { mappedSegments } from './mapped-segments.js';
import { readLivingStat } from './processes.js';
import { readSegmentHeader } from './read-segment.js';

/** What happens between two looks is missed: an exec right before the end. */
const LOOK_EVERY_MS = 250;

interface Watched {
  readonly path: string;
  readonly header: SegmentHeader;
  /** What its process ran when we last looked at what that has mapped. */
  image: string;
  executed: boolean;
}

export class RunWatch {
  /** By file, because a process that executes itself under --follow makes its segment anew; undefined: another run's. */
  readonly #files = new Map<string, Watched | undefined>();
  #timer: NodeJS.Timeout | undefined;

  /** Processes are looked for under the pid that they know themselves by: in a pid namespace of their own they go unseen. */
  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    private readonly runId: string,
    /** Called once for each process that went on as another program, with the segment it left. */
    private readonly onExecuted: (header: SegmentHeader) => void = () => {},
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Looks for the last time. */
  stop(): void {
    clearInterval(this.#timer);
    this.look();
  }

  /** Whether the process of this segment went on as another program, to which the segment does not belong. */
  hasExecuted(path: string): boolean {
    return this.#files.get(fileId(path) ?? '')?.executed ?? false;
  }

  /** How many segments of the run were there and are not any more. */
  get removed(): number {
    const paths = new Set([...this.#files.values()].flatMap((watched) => watched?.path ?? []));
    return [...paths].filter((path) => !existsSync(path)).length;
  }

  /** Looks once; cheap for the processes, whose mappings are read only when they are new or have executed something. */
  look(): void {
    for (const path of segmentFiles(this.context)) this.#meet(path);
    for (const watched of this.#files.values()) {
      if (watched && !watched.executed) this.#check(watched);
    }
  }

  #meet(path: string): void {
    const id = fileId(path);
    if (id === undefined || this.#files.has(id)) return;
    try {
      const header = readSegmentHeader(this.native, path);
      this.#files.set(id, header.runId === this.runId ? { path, header, image: '', executed: false } : undefined);
    } catch {
      // Not laid out yet, or not a segment: asked again at the next look.
    }
  }

  #check(watched: Watched): void {
    const { pid, startTimeTicks } = watched.header;
    const stat = readLivingStat(this.context.procRoot, pid);
    if (stat?.startTimeTicks !== startTimeTicks || stat.image === watched.image) return;
    try {
      const mapped = mappedSegments(this.context.procRoot, pid);
      if (mapped.ending) return;
      watched.executed = !hasMapped(mapped, watched.path);
      watched.image = stat.image;
    } catch {
      return; // It ended meanwhile, or has become another user's: nothing to be said.
    }
    if (watched.executed) this.onExecuted(watched.header);
  }
}
