/** What a reader of a C profile must know about how it was taken: losses, and numbers that are not exact. */
import type { Segment, SegmentCounters } from '../native-binding.js';

type Note = readonly [counter: keyof SegmentCounters, text: string];

/** Counters that mean something is missing or estimated differently, each with what it counts. */
const NOTES: readonly Note[] = [
  ['droppedBuckets', 'samples counted without their stack, because the bucket table was full'],
  ['droppedLive', 'samples counted as allocated but not as in use, because the live set was full'],
  ['truncatedStacks', 'samples with a stack that ends early'],
  ['goBoundaryFailed', 'samples whose Go callers could not be reached'],
  ['missedFrees', 'blocks whose free was not seen'],
  ['lostModules', 'modules that found no room, whose frames are bare addresses'],
];

/** One line per loss, `pid N: WHAT: COUNT`; none when all is well. */
export function segmentNotes(segment: Segment): string[] {
  const { pid, counters } = segment.header;
  const notes = NOTES.filter(([counter]) => counters[counter] > 0).map(([counter, text]) => [counters[counter], text]);
  const torn = segment.buckets.filter((bucket) => bucket.torn).length;
  if (torn > 0) notes.push([torn, 'buckets that changed whenever they were read, and may be off by a few blocks']);
  return notes.map(([count, text]) => `pid ${pid}: ${text}: ${count}`);
}
