/** What a reader of a C profile must know about how it was taken: losses, and numbers that are not exact. */
import type { Segment, SegmentCounters, SegmentHeader } from '../native-binding.js';
import { isPaused } from '../recording.js';
import { isoTime } from '../unix-time.js';

type Note = readonly [counter: keyof SegmentCounters, text: string];

/** Counters that mean something is missing or estimated differently, each with what it counts. */
const NOTES: readonly Note[] = [
  ['droppedBuckets', 'samples counted without their stack, because the bucket table was full'],
  ['droppedLive', 'samples counted as allocated but not as in use, because the live set was full'],
  ['truncatedStacks', 'samples with a stack that ends early'],
  ['goBoundaryFailed', 'samples whose Go callers could not be reached'],
  ['missedFrees', 'blocks whose free was not seen'],
  ['unknownFrees', 'frees of blocks from before the attach, or allocated out of sight'],
  ['lostModules', 'modules that found no room, whose frames are bare addresses'],
];

/** When the library was attached, for the profile alone: whoever asks for it knows, whoever finds it later may not. */
export function attachNotes({ pid, attachments, attachedUnixNs }: SegmentHeader): string[] {
  const before = attachments > 1 ? ', not for the first time: what was recorded earlier counts as freed then' : '';
  return attachments > 0 ? [`pid ${pid}: attached at ${isoTime(attachedUnixNs)}${before}`] : [];
}

/** What is not in the books of a process that records now and then, and of one that was attached to. */
function gapNotes(header: SegmentHeader): string[] {
  const notes: string[] = [];
  if (header.attachments > 0 && header.beforeAttachBytes === undefined) {
    notes.push('what was in use before the attach is not known');
  }
  if (isPaused(header)) {
    // Hooks that were not taken out still see frees.
    const frees = header.attachments > 0 ? ', nor, once the hooks are out, what was freed' : '';
    notes.push(`recording is switched off: what was allocated since is not in the profile${frees}`);
  }
  return notes.map((note) => `pid ${header.pid}: ${note}`);
}

/** One line per loss, `pid N: WHAT: COUNT`, and per gap; none when all is well. */
export function segmentNotes(segment: Segment): string[] {
  const { pid, counters } = segment.header;
  const notes = NOTES.filter(([counter]) => counters[counter] > 0).map(([counter, text]) => [counters[counter], text]);
  const torn = segment.buckets.filter((bucket) => bucket.torn).length;
  if (torn > 0) notes.push([torn, 'buckets that changed whenever they were read, and may be off by a few blocks']);
  return [...notes.map(([count, text]) => `pid ${pid}: ${text}: ${count}`), ...gapNotes(segment.header)];
}
