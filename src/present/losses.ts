/** What a segment says it lost, for machines: the counters that are not 0. */
import type { SegmentCounters } from '../native-binding.js';

export function losses(counters: SegmentCounters): Partial<SegmentCounters> {
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0));
}
