/**
 * The processes of one `cgoprof run` while it lasts, as targets: each under the base name of its program. A process that
 * starts takes the place of one of that name that has ended.
 */
import { type Context, say } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { NativeBinding, SegmentHeader } from '../native-binding.js';
import { fileId, segmentFiles } from './find-segments.js';
import { currentOf, FollowedTarget } from './followed-target.js';
import { isStarting, readSegmentHeader } from './read-segment.js';
import { nameOf, uniqueName } from './target-name.js';
import { type Candidate, fileCandidate } from './target-sources.js';

/** Each holds a descriptor. */
const MAX_TARGETS = 64;

interface Segment {
  /** Which file, and which of that name. */
  readonly id: string;
  readonly path: string;
  readonly header: SegmentHeader;
}

interface Place {
  readonly program: string;
  readonly followed: FollowedTarget;
  /** What is to stand for it next. */
  next: Candidate | undefined;
}

export class RunProcesses {
  /** In the order in which they came. */
  #places: Place[] = [];
  /** Segment files that were looked at, as they were then. */
  #known = new Set<string>();
  #saidFull = false;

  /** @param runId CGOPROF_RUN_ID of the run. */
  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    private readonly runId: string,
  ) {}

  /** The living first, so that the first one is the service, whatever ran before it. */
  get targets(): FollowedTarget[] {
    const [living, ended]: [FollowedTarget[], FollowedTarget[]] = [[], []];
    for (const { followed } of this.#places) (hasEnded(followed) ? ended : living).push(followed);
    return [...living, ...ended];
  }

  /** Looks for segments that are new. Cheap: reads a directory. */
  look(): void {
    const known = new Set<string>();
    const met: Segment[] = [];
    for (const path of segmentFiles(this.context)) {
      const id = `${path} ${fileId(path)}`;
      const header = this.#known.has(id) ? undefined : this.#headerOf(path);
      if (typeof header === 'object' && header.runId === this.runId) met.push({ id, path, header });
      else if (header !== 'starting') known.add(id);
    }
    this.#known = known;
    // Files come by their names, in which a pid of four digits is before one of three.
    met.sort((a, b) => Number(a.header.createdUnixNs - b.header.createdUnixNs));
    for (const { id, path } of met) {
      // One by one: a defect of ours with one of them leaves the others for the next look.
      known.add(id);
      this.#meet(path);
    }
  }

  close(): void {
    for (const { followed } of this.#places) followed.close();
    this.#places = [];
  }

  /** 'starting': to be looked at again; undefined: there is none. */
  #headerOf(path: string): SegmentHeader | 'starting' | undefined {
    try {
      return readSegmentHeader(this.native, path);
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error;
      return isStarting(error) ? 'starting' : undefined;
    }
  }

  /** Unless it has gone meanwhile. */
  #meet(path: string): void {
    try {
      this.#add(fileCandidate(this.context, this.native, path));
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error;
    }
  }

  #add(candidate: Candidate): void {
    const place = this.#placeFor(nameOf(candidate.found.header.exePath));
    if (place === undefined) return;
    place.next = candidate;
    place.followed.lookNow();
  }

  /** Undefined when there are too many. */
  #placeFor(program: string): Place | undefined {
    const ended = this.#places.filter(({ followed }) => hasEnded(followed));
    const own = ended.find((place) => place.program === program);
    if (own !== undefined) return own;
    if (this.#places.length >= MAX_TARGETS) {
      const [oldest] = ended;
      if (oldest === undefined) {
        this.#sayFull();
        return undefined;
      }
      oldest.followed.close();
      this.#places = this.#places.filter((place) => place !== oldest);
    }
    return this.#newPlace(program);
  }

  #newPlace(program: string): Place {
    const name = uniqueName(program, (name) => this.#places.some(({ followed }) => followed.name === name));
    const take = () => {
      const { next } = place;
      place.next = undefined;
      return next;
    };
    const place: Place = {
      program,
      followed: new FollowedTarget(this.context, this.native, name, take),
      next: undefined,
    };
    this.#places.push(place);
    return place;
  }

  #sayFull(): void {
    if (!this.#saidFull) say(this.context, `${MAX_TARGETS} processes are served; those that start now are not`);
    this.#saidFull = true;
  }
}

/** ... or never came to be held. */
function hasEnded(followed: FollowedTarget): boolean {
  const now = currentOf(followed);
  return now === undefined || now.end !== undefined;
}
