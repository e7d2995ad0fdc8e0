/**
 * How many call stacks hold memory, how many there ever were, and how much it comes to: for either side of a heap profile,
 * without names.
 *
 * A site is a call stack that allocates. Both allocators keep books per stack and size, in buckets that are never
 * removed, so one site may have several, and the number of either only grows.
 */
import type { Profile } from 'pprof-format';
import type { Segment } from '../native-binding.js';
import { inUseOf, KIND_HEAP } from './c-profile.js';
import { addInt64, type Int64, int64 } from './int64.js';
import { scaleHeapSample } from './scale-heap-sample.js';

export interface Amount {
  readonly objects: Int64;
  readonly bytes: Int64;
}

export interface SiteCounts {
  /** That allocated, ever. */
  readonly sites: number;
  /** Of which at least one block is in use. */
  readonly sitesInUse: number;
  /** Stacks times sizes: what net/http/pprof counts. */
  readonly buckets: number;
  /** Since profiling began. */
  readonly allocated: Amount;
  readonly inUse: Amount;
}

export interface CSiteCounts extends SiteCounts {
  readonly freed: Amount;
}

type Pair = readonly [objects: Int64, bytes: Int64];

const NOTHING: Amount = { objects: 0, bytes: 0 };

function add({ objects, bytes }: Amount, [moreObjects, moreBytes]: Pair): Amount {
  return { objects: addInt64(objects, moreObjects), bytes: addInt64(bytes, moreBytes) };
}

/** Sites by whatever tells one from another. */
class Sites<Key> {
  readonly #all = new Set<Key>();
  readonly #inUse = new Set<Key>();

  add(key: Key, inUse: boolean): void {
    this.#all.add(key);
    if (inUse) this.#inUse.add(key);
  }

  get counts(): Pick<SiteCounts, 'sites' | 'sitesInUse'> {
    return { sites: this.#all.size, sitesInUse: this.#inUse.size };
  }
}

/** Samples counted without their stack are one site. */
const NO_STACK = new BigUint64Array();

/**
 * Of what was recorded, scaled per bucket; without what was in use before an attach. Allocated, freed and in use are
 * estimated each by itself, so that the first two only grow: the difference is the third but for rounding.
 */
export function cSiteCounts({ header, buckets }: Segment): CSiteCounts {
  const rate = header.sampleRate;
  const sites = new Sites<BigUint64Array>();
  const used = buckets.filter(({ kind, allocs }) => kind === KIND_HEAP && allocs > 0);
  let [allocated, freed, inUse] = [NOTHING, NOTHING, NOTHING];
  for (const bucket of used) {
    const [blocks, bytes] = inUseOf(bucket);
    sites.add(bucket.frames.length === 0 ? NO_STACK : bucket.frames, blocks > 0);
    allocated = add(allocated, scaleHeapSample(bucket.allocs, bucket.allocBytes, rate));
    freed = add(freed, scaleHeapSample(bucket.frees, bucket.freeBytes, rate));
    inUse = add(inUse, scaleHeapSample(blocks, bytes, rate));
  }
  return { ...sites.counts, buckets: used.length, allocated, freed, inUse };
}

/** Of a heap profile of Go's own: its values are scaled already. */
export function goSiteCounts({ sample }: Profile): SiteCounts {
  const sites = new Sites<string>();
  let [allocated, inUse] = [NOTHING, NOTHING];
  for (const { locationId, value } of sample) {
    const [allocObjects = 0, allocBytes = 0, inUseObjects = 0, inUseBytes = 0] = value.map(int64);
    sites.add(locationId.join(), inUseObjects > 0);
    allocated = add(allocated, [allocObjects, allocBytes]);
    inUse = add(inUse, [inUseObjects, inUseBytes]);
  }
  return { ...sites.counts, buckets: sample.length, allocated, inUse };
}
