/** Turns what was sampled into an estimate of what was allocated: scaleHeapSample of Go's runtime/pprof/protomem.go. */
import { type Int64, int64 } from './int64.js';

const MAX_INT64 = 2n ** 63n - 1n;

/** Cuts towards zero as Go's int64(x) does; beyond int64, where Go leaves the result open, the largest value. */
function truncate(value: number): Int64 {
  if (value <= Number.MAX_SAFE_INTEGER) return Math.trunc(value);
  if (!Number.isFinite(value)) return MAX_INT64;
  const exact = BigInt(Math.trunc(value));
  return int64(exact > MAX_INT64 ? MAX_INT64 : exact);
}

/**
 * Blocks of average size S are sampled with probability 1 - exp(-S / rate), so each stands for the inverse of that.
 * Right only for blocks of about one size: call it per bucket, before adding buckets up.
 *
 * @param count Sampled blocks.
 * @param size Their bytes.
 * @param rate Mean bytes between samples; 1 recorded everything, and less is unknown: both are left as they are.
 * @returns Estimated blocks and bytes.
 */
export function scaleHeapSample(count: number, size: number, rate: number): [blocks: Int64, bytes: Int64] {
  if (count === 0 || size === 0) return [0, 0];
  if (rate <= 1) return [truncate(count), truncate(size)];
  const average = size / count;
  const scale = 1 / (1 - Math.exp(-average / rate));
  return [truncate(count * scale), truncate(size * scale)];
}
