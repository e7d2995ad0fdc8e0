/**
 * The segments of one `cgoprof run`: which they are, and which of them may go once it is over.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Context, Ending } from '../context.js';
import type { NativeBinding } from '../native-binding.js';
import { type FoundSegment, findSegments } from './find-segments.js';

/** CGOPROF_RUN_ID: 64 random bits, lower-case hex without leading zeros, never 0. */
export function newRunId(): string {
  const id = randomBytes(8).readBigUInt64LE();
  return (id === 0n ? 1n : id).toString(16);
}

/** Segments that carry the run's id, of processes that have ended and of those that still run. */
export function findRunSegments(context: Context, native: NativeBinding, runId: string): FoundSegment[] {
  // What other processes left there is not this run's business, readable or not.
  return findSegments(context, native, () => {}).filter(({ header }) => header.runId === runId);
}

/** Signals by which people and supervisors end a service that works. */
const NORMAL_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>(['SIGINT', 'SIGTERM', 'SIGHUP']);

/** Whether the command ended as it should: nobody will look for a cause of death. */
export function endedNormally(ending: Ending): boolean {
  return 'signal' in ending ? NORMAL_SIGNALS.has(ending.signal) : ending.code === 0;
}

/**
 * Removes segments of processes that ended normally: they lie in memory. Returns those of dead processes that are kept.
 *
 * @param ending How the command ended, which stands for every process that did not tell itself.
 * @param allowed False keeps them all.
 */
export function removeSpent(segments: readonly FoundSegment[], ending: Ending, allowed: boolean): FoundSegment[] {
  const kept: FoundSegment[] = [];
  for (const segment of segments.filter(({ livePid }) => livePid === undefined)) {
    const normal = endedNormally(ending) || segment.header.state === 'exited';
    if (allowed && normal) rmSync(segment.path, { force: true });
    else kept.push(segment);
  }
  return kept;
}
