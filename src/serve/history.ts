/**
 * The last hour of a target in a few numbers: what C and Go have in use and what is resident. A reading costs the target
 * nothing: the C side comes from its segment, without names; the Go side is what somebody asked for meanwhile, a scraper
 * or a live page, and is unknown when nobody did.
 */
import type { FollowedSegment } from '../collect/followed-target.js';
import { CgoprofError } from '../errors.js';
import { bytesBeforeAttach } from '../merge/c-profile.js';
import { cSiteCounts } from '../merge/site-counts.js';
import type { Segment } from '../native-binding.js';
import { INTERVAL_MS, type LiveHistory, type LiveIdentity } from './live-state.js';
import type { ServedTarget } from './served-target.js';

const HOUR_MS = 3_600_000;

/** Bytes; null where nothing is known. */
export interface Reading {
  /** Unix time, ms. */
  readonly at: number;
  /** Whose numbers they are; '' where there was nothing to read. */
  readonly identity: LiveIdentity;
  readonly c: number | null;
  readonly go: number | null;
  readonly rss: number | null;
}

/** Readings of an hour; the oldest make room. */
export class Ring {
  readonly #readings: Reading[] = [];

  constructor(readonly capacity: number = HOUR_MS / INTERVAL_MS) {}

  add(reading: Reading): void {
    this.#readings.push(reading);
    if (this.#readings.length > this.capacity) this.#readings.shift();
  }

  get columns(): LiveHistory {
    const column = <Name extends keyof Reading>(name: Name) => this.#readings.map((reading) => reading[name]);
    const read = column('identity');
    const identities = [...new Set(read)].filter((identity) => identity !== '');
    const of = read.map((identity) => identities.indexOf(identity));
    return { at: column('at'), identities, of, c: column('c'), go: column('go'), rss: column('rss') };
  }
}

/** What C has in use by a segment: all that the C profile adds up to. */
export function cBytesInUse(segment: Segment): number {
  return Number(cSiteCounts(segment).inUse.bytes) + (bytesBeforeAttach(segment.header) ?? 0);
}

/** Tells a process, and its recording, from the next one of the same target. */
export function identityOf({ found }: FollowedSegment): LiveIdentity {
  const { bootId, pid, startTimeTicks, createdUnixNs } = found.header;
  return [bootId, pid, startTimeTicks, createdUnixNs].join('-');
}

/** Fills a ring from a target, one reading at a time. */
export class History {
  readonly #ring = new Ring();
  /** Of the last reading that there was something to read for, Unix time, ms. */
  #lastAt = 0;
  /** Whose end has been recorded. */
  #ended: FollowedSegment | undefined;

  constructor(private readonly target: ServedTarget) {}

  get columns(): LiveHistory {
    return this.#ring.columns;
  }

  /** Of a process that has ended what it held then, once; after that, or where it cannot be read, nothing is known. */
  record(at: number): void {
    const nothing = { at, identity: '', c: null, go: null, rss: null };
    try {
      const followed = this.target.current();
      this.#ring.add(this.#reading(followed, at));
      this.#lastAt = at;
    } catch (error) {
      this.#ring.add(nothing);
      if (!(error instanceof CgoprofError)) throw error; // Otherwise whoever opens the page is told why.
    }
  }

  #reading(followed: FollowedSegment, at: number): Reading {
    const { livePid, end } = followed;
    const identity = identityOf(followed);
    // What it held at its end, if that was seen, is the last of its line.
    if (end !== undefined && (end.at === undefined || this.#ended === followed)) {
      return { at, identity, c: null, go: null, rss: null };
    }
    this.#ended = end === undefined ? undefined : followed;
    const { lastGo } = this.target;
    const isNew = lastGo !== undefined && lastGo.takenAt.getTime() > this.#lastAt;
    return {
      at,
      identity,
      c: cBytesInUse(this.target.segment(followed)),
      go: isNew ? lastGo.bytes : null,
      rss: livePid === undefined ? null : (this.target.memory(livePid)?.resident ?? null),
    };
  }
}
