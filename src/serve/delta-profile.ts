/**
 * What changed on both sides within some seconds: the service is asked for its own changes, and how long it takes to answer
 * is the window in which the C side is read, at its beginning and at its end.
 *
 * Source: net/http/pprof/pprof.go (serveDeltaProfile), Go 1.26.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Profile } from 'pprof-format';
import type { FollowedSegment } from '../collect/followed-target.js';
import { MAX_TIMER_MS } from '../collect/upstream.js';
import { CgoprofError } from '../errors.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { parseGoProfile } from '../merge/parse-profile.js';
import type { ServedTarget } from './served-target.js';

export interface DeltaQuery {
  /** More than zero. */
  readonly seconds: bigint;
  /** The sample type that viewers show first; '': the last. */
  readonly defaultType: '' | 'alloc_space';
  /** Ends the window, and with it the service's. */
  readonly cancel: AbortSignal;
}

/** Gzipped. Values are negative where more was freed than allocated. @throws CgoprofError or HttpError */
export async function deltaProfile(target: ServedTarget, query: DeltaQuery): Promise<Uint8Array> {
  const followed = target.current();
  const before = target.segment(followed);
  const begun = unixNanos();
  const go = await goChanges(target, followed, query);
  checkSame(target, followed);
  const ended = unixNanos();
  const c = await target.cChanges(followed, before);
  const merged = mergeProfiles({ go, c: [c] });
  merged.timeNanos = ended;
  merged.durationNanos = ended - begun;
  if (query.defaultType !== '') merged.defaultSampleType = merged.stringTable.dedup(query.defaultType);
  return promisify(gzip)(merged.encode(), { level: 1 });
}

/** Takes as long as the window. Without a service to ask it is a window all the same. */
async function goChanges(
  { upstream }: ServedTarget,
  { end }: FollowedSegment,
  { seconds, cancel }: DeltaQuery,
): Promise<Profile[]> {
  if (upstream !== undefined && end === undefined) {
    const { bytes, name } = await upstream.heap({ gc: false, seconds }, cancel);
    return [parseGoProfile(bytes, name)];
  }
  await sleep(Math.min(1_000 * Number(seconds), MAX_TIMER_MS), undefined, { signal: cancel });
  return [];
}

/** Changes are those of one process. */
function checkSame(target: ServedTarget, { found }: FollowedSegment): void {
  if (target.current().found === found) return;
  throw new CgoprofError({
    what: target.name,
    why: 'its process was replaced by another meanwhile',
    hint: 'Try again.',
  });
}

function unixNanos(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
