/** What a reader of a C profile must know about how it was taken: losses, and numbers that are not exact. */
import type { Segment, SegmentCounters } from '../native-binding.js';

type Note = readonly [counter: keyof SegmentCounters, text: string];

/** Counters that mean something is missing or estimated differently, each with what it counts. */
const NOTES: readonly Note[] = [
  ['droppedBuckets', 'samples lost: the bucket table was full'],
  ['droppedLive', 'samples counted as allocated but not as in use: the live set was full'],
  ['droppedReentrant', 'samples skipped: allocated inside the recorder'],
  ['truncatedStacks', 'samples with a stack that ends early'],
  ['goBoundaryFailed', 'samples whose Go callers could not be reached'],
  ['missedFrees', 'frees not seen: memory in use may be too high by as many blocks'],
  ['lostModules', 'modules without a name: their frames are bare addresses'],
];

/** One line per loss, `pid N: COUNT WHAT`; none when all is well. */
export function segmentNotes(segment: Segment): string[] {
  const { pid, counters } = segment.header;
  const notes = NOTES.filter(([counter]) => counters[counter] > 0).map(([counter, text]) => [counters[counter], text]);
  const torn = segment.buckets.filter((bucket) => bucket.torn).length;
  if (torn > 0) notes.push([torn, 'buckets were being written to when they were read: each may be off by one block']);
  return notes.map(([count, text]) => `pid ${pid}: ${count} ${text}`);
}
