/**
 * Two readings of one segment: which bucket of the earlier one is which of the later one, so that what happened in between
 * is their difference.
 *
 * Buckets are made, filled and never given up, and are read in the order in which they lie there. So the earlier reading
 * has a part of the later one's, in the same order.
 */
import type { Segment, SegmentBucket } from '../native-binding.js';
import { ProfileError } from './profile-error.js';

/**
 * The earlier state of buckets of the later reading; of one that was not there yet, nothing.
 *
 * @throws ProfileError when they are not two readings of one segment
 */
export function earlierBuckets(later: Segment, earlier: Segment): ReadonlyMap<SegmentBucket, SegmentBucket> {
  const found = new Map<SegmentBucket, SegmentBucket>();
  for (const bucket of later.buckets) {
    const before = earlier.buckets[found.size];
    if (before !== undefined && isSame(bucket, before)) found.set(bucket, before);
  }
  if (found.size < earlier.buckets.length) {
    throw new ProfileError('C profile', 'what was recorded before is not there any more');
  }
  return found;
}

function isSame(a: SegmentBucket, b: SegmentBucket): boolean {
  return (
    a.kind === b.kind &&
    a.sizeClass === b.sizeClass &&
    a.truncated === b.truncated &&
    a.goUnreachable === b.goUnreachable &&
    isEqual(a.frames, b.frames) &&
    isEqual(a.frameModules, b.frameModules)
  );
}

function isEqual<T>(a: ArrayLike<T>, b: ArrayLike<T>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
