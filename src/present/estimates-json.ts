/** `heap --json`: estimates per site with their standard errors and intervals, for machines. */
import type { Profile } from 'pprof-format';
import { CONFIDENCE, type Estimate, type SiteEstimate, siteEstimates, unseenBytes } from '../merge/site-estimates.js';
import type { Segment } from '../native-binding.js';

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

/** Whole numbers: nobody has half a byte. */
function rounded({ estimate, standardError, low, high }: Estimate): Estimate {
  return {
    estimate: Math.round(estimate),
    standardError: Math.ceil(standardError),
    low: Math.floor(low),
    high: Math.ceil(high),
  };
}

function roundedSite({ inUse, allocated, ...place }: SiteEstimate): SiteEstimate {
  return {
    ...place,
    inUse: { bytes: rounded(inUse.bytes), objects: rounded(inUse.objects) },
    allocated: { bytes: rounded(allocated.bytes), objects: rounded(allocated.objects) },
  };
}

function sampling(profiles: readonly Profile[]): Sampling | undefined {
  const [profile] = profiles;
  if (profile === undefined) return undefined;
  const rate = Number(profile.period);
  return { rate, unlistedBytes: Math.ceil(unseenBytes(rate)) };
}

/** One JSON object and a line feed. `go` under `sampling` is there when the Go side is. */
export function estimatesJson({ segment, c, go }: EstimateInput): string {
  const { pid, counters } = segment.header;
  const { samples, ...losses } = counters;
  const report = {
    pid,
    confidence: CONFIDENCE,
    sampling: { c: sampling(c), go: sampling(go) },
    samples,
    losses: Object.fromEntries(Object.entries(losses).filter(([, count]) => count > 0)),
    sites: siteEstimates([...c, ...go]).map(roundedSite),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
