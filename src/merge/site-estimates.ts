/**
 * How far the estimates of a sampled heap profile can be trusted, per line of source that allocates.
 *
 * The model. A block of s bytes is sampled with probability p = 1 - exp(-s / rate), independently of every other block
 * (native/preload/sampler.h; Go's runtime samples alike), and stands for 1/p blocks: the estimator of D. G. Horvitz and
 * D. J. Thompson, "A generalization of sampling without replacement from a finite universe", JASA 47 (1952). For
 * independent draws their unbiased estimate of its variance is the sum over the sampled blocks of
 *
 *     x² (1 - p) / p²        x = s for bytes, 1 for blocks
 *
 * The k sampled blocks of one size have the estimate X = k x / p, so their part of the variance is X · c, where
 * c = x (1 - p) / p = x / (exp(s / rate) - 1): about one sampling interval for the bytes of small blocks, next to nothing
 * for those of blocks that are never missed. A sample's size is the mean of its bucket, as in scale-heap-sample.ts.
 *
 * The interval, of bytes. X ± 1.96 standard errors is too short where there are few samples: it covers the truth in 80 %
 * of cases for 3 of them, in 93 % for 10. So the variance is taken at the ends of the interval and not at the estimate: all
 * T with (T - X)² <= z² (V + (T - X) c), which for blocks of one size is Wilson's score interval (E. B. Wilson, JASA 22,
 * 1927) for a count in units of c; for several sizes c is the mean of theirs, weighted by their parts of the variance. And
 * beside blocks that are never missed there may be others of which none was sampled: see UNSEEN.
 *
 * There is no interval of blocks: a line may hold any number of very small ones without a sample.
 */
import type { Profile, Sample } from 'pprof-format';
import { BYTES_LABEL, isFromC } from './heap-profile.js';
import { int64 } from './int64.js';

export interface Estimate {
  readonly estimate: number;
  readonly standardError: number;
}

/** With the interval that covers the truth in 95 % of cases. */
export interface IntervalEstimate extends Estimate {
  readonly low: number;
  readonly high: number;
}

export interface BlockEstimate {
  readonly bytes: IntervalEstimate;
  readonly objects: Estimate;
}

/** A line of source, as a profile names it. */
export interface Place {
  readonly function: string;
  /** '' unknown. */
  readonly file: string;
  /** 0 unknown. */
  readonly line: number;
}

/**
 * Which lines are no site, because nobody wrote them: what the call is called that they stand for; undefined for all
 * others. What is allocated at one of them is its caller's.
 */
export type CallName = (place: Place) => string | undefined;

/** What was allocated at one line: that of the leaf, which called malloc, whoever its callers were. */
export interface SiteEstimate extends Place {
  readonly allocator: 'c' | 'go';
  /** What it called, where sites are asked for as callers: see {@link CallName}. */
  readonly via?: string;
  readonly inUse: BlockEstimate;
  readonly allocated: BlockEstimate;
}

export const CONFIDENCE = 0.95;

/** Standard errors within which 95 % of a normal distribution lie. */
const Z = 1.959963984540054;

/**
 * Sampling intervals of bytes that are seen with that confidence: all of B bytes stay unsampled with probability
 * exp(-B / rate), whatever the size of their blocks.
 */
const UNSEEN = -Math.log(1 - CONFIDENCE);

/** One amount of one site, added up over samples. */
class Tally {
  #estimate = 0;
  #variance = 0;
  /** The sum of X c², which is that of the parts of the variance, each times its c. */
  #weighted = 0;
  /** What the sampled blocks are by themselves. */
  #seen = 0;
  /** What there may be of which nothing was sampled. */
  #unseen = 0;

  /**
   * @param amount Estimated, of blocks of one size.
   * @param each What one block counts.
   * @param ratio s / rate; Infinity when every block was recorded.
   */
  add(amount: number, each: number, ratio: number): void {
    const c = each / Math.expm1(ratio);
    this.#estimate += amount;
    this.#variance += Math.abs(amount) * c;
    this.#weighted += Math.abs(amount) * c * c;
    this.#seen += amount * -Math.expm1(-ratio);
    this.#unseen = Math.max(this.#unseen, (UNSEEN * each) / ratio);
  }

  get estimate(): Estimate {
    return { estimate: this.#estimate, standardError: Math.sqrt(this.#variance) };
  }

  get interval(): IntervalEstimate {
    const { estimate, standardError } = this.estimate;
    if (estimate < 0) {
      // A Go profile of what changed in between: nothing is known of how many samples its differences are made of.
      return { estimate, standardError, low: estimate - Z * standardError, high: estimate + Z * standardError };
    }
    const shift = standardError === 0 ? 0 : (Z * Z * (this.#weighted / this.#variance)) / 2;
    const half = Math.hypot(Z * standardError, shift);
    const low = Math.max(estimate + shift - half, this.#seen);
    return { estimate, standardError, low, high: estimate + Math.max(shift + half, this.#unseen) };
  }
}

/**
 * Blocks before they were cut to a whole number, which their bytes still tell. It matters where a line has many callers:
 * half a block is lost for each of them.
 */
function uncut(blocks: number, byBytes: number, rate: number): number {
  return rate > 1 ? Math.min(Math.max(blocks, byBytes), blocks + 1) : blocks;
}

/** The four amounts, in the order of the sample types. */
class SiteTally {
  readonly #tallies = [new Tally(), new Tally(), new Tally(), new Tally()] as const;

  constructor(readonly place: Omit<SiteEstimate, 'inUse' | 'allocated'>) {}

  add({ value }: Sample, blockSize: number, rate: number): void {
    const ratio = rate > 1 ? blockSize / rate : Number.POSITIVE_INFINITY;
    for (const [i, tally] of this.#tallies.entries()) {
      const amount = Number(int64(value[i] ?? 0));
      // Bytes of no blocks: an allocator's account, which is no sample.
      if (!Number.isFinite(blockSize)) tally.add(amount, 1, Number.POSITIVE_INFINITY);
      else if (i % 2 === 1) tally.add(amount, blockSize, ratio);
      else tally.add(uncut(amount, Number(int64(value[i + 1] ?? 0)) / blockSize, rate), 1, ratio);
    }
  }

  get result(): SiteEstimate {
    const [allocObjects, allocBytes, inUseObjects, inUseBytes] = this.#tallies;
    return {
      ...this.place,
      inUse: { bytes: inUseBytes.interval, objects: inUseObjects.estimate },
      allocated: { bytes: allocBytes.interval, objects: allocObjects.estimate },
    };
  }
}

const NO_PLACE: Place = { function: '', file: '', line: 0 };

/** Finds the sites and the block sizes of one profile's samples. */
class Reader {
  readonly #locations;
  readonly #functions;

  constructor(
    private readonly profile: Profile,
    private readonly callName: CallName,
  ) {
    this.#locations = new Map(profile.location.map((location) => [int64(location.id), location]));
    this.#functions = new Map(profile.function.map((fn) => [int64(fn.id), fn]));
  }

  #text(index: number | bigint | undefined): string {
    return this.profile.stringTable.strings[Number(index ?? 0)] ?? '';
  }

  /** Innermost inlined function of the innermost frame, or of what called it. */
  place(sample: Sample): SiteTally['place'] {
    const allocator = isFromC(this.profile, sample) ? 'c' : 'go';
    let via: string | undefined;
    for (const place of this.#places(sample)) {
      const call = this.callName(place);
      if (call === undefined) return { allocator, ...place, ...(via === undefined ? {} : { via }) };
      via = call;
    }
    // Of nothing but such lines the leaf is as good as any.
    const [leaf = NO_PLACE] = this.#places(sample);
    return { allocator, ...leaf };
  }

  /** Leaf first. */
  *#places({ locationId }: Sample): Generator<Place> {
    for (const id of locationId) {
      const lines = this.#locations.get(int64(id))?.line ?? [];
      // What has no name is no part of its caller.
      if (lines.length === 0) yield NO_PLACE;
      for (const { functionId, line } of lines) {
        const fn = this.#functions.get(int64(functionId));
        yield { function: this.#text(fn?.name), file: this.#text(fn?.filename), line: Number(line) };
      }
    }
  }

  /** Mean size of the sample's blocks, as the profile's label has it. */
  blockSize({ label, value }: Sample): number {
    const size = label.find(({ key }) => this.#text(key) === BYTES_LABEL);
    if (size !== undefined) return Number(size.num);
    return Number(value[1]) / Number(value[0]); // No label: blocks of less than a byte on average, or no blocks.
  }
}

/**
 * Adds heap profiles up per site, most bytes in use first. Each profile states by its period how it was sampled, so they
 * must be as they were taken: merged ones have one period for both sides.
 *
 * @param callName By default every line is a site.
 */
export function siteEstimates(profiles: readonly Profile[], callName: CallName = () => undefined): SiteEstimate[] {
  const sites = new Map<string, SiteTally>();
  for (const profile of profiles) {
    const reader = new Reader(profile, callName);
    for (const sample of profile.sample) {
      const place = reader.place(sample);
      const key = JSON.stringify(Object.values(place));
      const site = sites.get(key) ?? new SiteTally(place);
      sites.set(key, site);
      site.add(sample, reader.blockSize(sample), Number(profile.period));
    }
  }
  return [...sites.values()]
    .map(({ result }) => result)
    .sort((a, b) => b.inUse.bytes.estimate - a.inUse.bytes.estimate);
}

/**
 * The most that a line which has no sample can hold: more would have been seen in 95 % of cases. Infinity for a rate below
 * 1, by which Go says that its profiling is switched off.
 */
export function unseenBytes(rate: number): number {
  if (rate < 1) return Number.POSITIVE_INFINITY;
  return rate > 1 ? UNSEEN * rate : 0;
}
