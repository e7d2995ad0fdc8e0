/**
 * The last hour of a target in a few numbers: what C and Go have in use and what is resident. A reading costs the target
 * nothing: the C side comes from its segment, without names; the Go side is what somebody asked for meanwhile, a scraper
 * or a live page, and is unknown when nobody did.
 */
import type { FollowedSegment } from '../collect/followed-target.js';
import { cSiteCounts } from '../merge/site-counts.js';
import type { Segment } from '../native-binding.js';
import { INTERVAL_MS, type LiveHistory, type LiveIdentity } from './live-state.js';
import type { ServedTarget } from './served-target.js';

const HOUR_MS = 3_600_000;

/** Bytes; null where nothing is known. */
export interface Reading {
  /** Unix time, ms. */
  readonly at: number;
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
    return { at: column('at'), c: column('c'), go: column('go'), rss: column('rss') };
  }
}

/** What C has in use by a segment: all that the C profile adds up to. */
export function cBytesInUse(segment: Segment): number {
  const { attachments, beforeAttachBytes = 0 } = segment.header;
  return Number(cSiteCounts(segment).inUse.bytes) + (attachments > 0 ? beforeAttachBytes : 0);
}

/** Tells a recording from the next one of the same target. */
export function identityOf({ found }: FollowedSegment): LiveIdentity {
  const { bootId, pid, startTimeTicks, createdUnixNs } = found.header;
  return [bootId, pid, startTimeTicks, createdUnixNs].join('-');
}

/** Fills a ring from a target, one reading at a time. */
export class History {
  readonly #ring = new Ring();
  #last: { readonly at: number; readonly identity: LiveIdentity } = { at: 0, identity: '' };

  constructor(private readonly target: ServedTarget) {}

  get columns(): LiveHistory {
    return this.#ring.columns;
  }

  /** Of a process that has ended, or cannot be read, nothing is known any more. */
  record(at: number): void {
    const nothing = { at, c: null, go: null, rss: null };
    try {
      const followed = this.target.current();
      const identity = identityOf(followed);
      // A gap parts what one process held from what the next one holds.
      const isAnother = this.#last.identity !== '' && this.#last.identity !== identity;
      this.#ring.add(
        isAnother || followed.livePid === undefined ? nothing : this.#read(followed, followed.livePid, at),
      );
      this.#last = { at, identity };
    } catch {
      // Whoever opens the page is told why.
      this.#ring.add(nothing);
    }
  }

  #read(followed: FollowedSegment, livePid: number, at: number): Reading {
    const { lastGo } = this.target;
    const isNew = lastGo !== undefined && lastGo.takenAt.getTime() > this.#last.at;
    return {
      at,
      c: cBytesInUse(this.target.segment(followed)),
      go: isNew ? lastGo.bytes : null,
      rss: this.target.memory(livePid)?.resident ?? null,
    };
  }
}
