/** `heap --json`: estimates per site with their standard errors and intervals, for machines. */
import type { Profile } from 'pprof-format';
import {
  type BlockEstimate,
  CONFIDENCE,
  type SiteEstimate,
  siteEstimates,
  unseenBytes,
} from '../merge/site-estimates.js';
import type { Segment } from '../native-binding.js';
import { losses } from './losses.js';

/** The profiles of each side as they were taken, before they are merged. */
export interface EstimateInput {
  readonly segment: Segment;
  readonly c: readonly Profile[];
  readonly go: readonly Profile[];
}

/** How one side was sampled. */
interface Sampling {
  /** Mean bytes between samples; 1: every allocation was recorded, and every number is exact. */
  readonly rate: number;
  /** A site that is not listed holds less than this, with the same confidence; Infinity, in JSON null: nobody knows. */
  readonly unlistedBytes: number;
}

/** Whole numbers: nobody has half a byte. An interval is rounded to what holds it. */
function rounded({ bytes, objects }: BlockEstimate): BlockEstimate {
  return {
    bytes: {
      estimate: Math.round(bytes.estimate),
      standardError: Math.ceil(bytes.standardError),
      low: Math.floor(bytes.low),
      high: Math.ceil(bytes.high),
    },
    objects: { estimate: Math.round(objects.estimate), standardError: Math.ceil(objects.standardError) },
  };
}

function roundedSite({ inUse, allocated, ...place }: SiteEstimate): SiteEstimate {
  return { ...place, inUse: rounded(inUse), allocated: rounded(allocated) };
}

function sampling(profiles: readonly Profile[]): Sampling | undefined {
  const [profile] = profiles;
  if (profile === undefined) return undefined;
  const rate = Number(profile.period);
  return { rate, unlistedBytes: Math.ceil(unseenBytes(rate)) };
}

/** One JSON object and a line feed. `go` under `sampling` is there when the Go side is. */
export function estimatesJson({ segment, c, go }: EstimateInput): string {
  const { pid, samples, counters } = segment.header;
  const report = {
    pid,
    confidence: CONFIDENCE,
    sampling: { c: sampling(c), go: sampling(go) },
    samples,
    losses: losses(counters),
    sites: siteEstimates([...c, ...go]).map(roundedSite),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
