/**
 * What changed on both sides within some seconds: the service is asked for its own changes, and meanwhile the C side is read
 * when those seconds begin and when they are over.
 *
 * Source: net/http/pprof/pprof.go (serveDeltaProfile), Go 1.26.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Profile } from 'pprof-format';
import { endNote, type FollowedSegment, type SegmentEnd } from '../collect/followed-target.js';
import { MAX_TIMER_MS } from '../collect/upstream.js';
import { CgoprofError } from '../errors.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { parseGoProfile } from '../merge/parse-profile.js';
import type { Segment } from '../native-binding.js';
import { C_ALONE_NOTE, withWayToC } from './c-alone.js';
import { type DefaultType, encodeProfile } from './encode-profile.js';
import { HttpError } from './exchange.js';
import type { ServedTarget } from './served-target.js';

export interface DeltaQuery {
  /** More than zero. */
  readonly seconds: bigint;
  readonly defaultType: DefaultType;
  /** The service is not asked. */
  readonly cAlone: boolean;
  /** Ends the window, and with it the service's. */
  readonly cancel: AbortSignal;
}

/** Gzipped. Values are negative where more was freed than allocated. @throws CgoprofError or HttpError */
export async function deltaProfile(target: ServedTarget, query: DeltaQuery): Promise<Uint8Array> {
  const followed = target.current();
  if (followed.end !== undefined) throw hasEnded(target, followed.end);
  const since = target.segment(followed);
  const begun = unixNanos();
  // A service computes its changes when the seconds are over: its answer is no mark of time. A refusal ends the window.
  const [go, { until, ended }] = await Promise.all([goChanges(target, query), readWhenOver(target, followed, query)]);
  // What answered for a process that has ended meanwhile may be another.
  if (go !== undefined) checkHasNotEnded(target, followed);
  const c = await target.cChanges(followed, since, until);
  const source = go === undefined ? undefined : `what changed in the Go heap, from ${go.name}`;
  const other = go && (await target.goNote(followed, until, go.profile));
  const alone = query.cAlone ? C_ALONE_NOTE : undefined;
  const notes = [source, alone, endNote(target.current()), other].filter((note) => note !== undefined);
  const comments = notes.map((note) => `cgoprof: ${note}`);
  const merged = mergeProfiles({ go: go === undefined ? [] : [go.profile], c: [c], comments });
  merged.timeNanos = ended;
  merged.durationNanos = ended - begun;
  return encodeProfile(merged, query.defaultType);
}

async function readWhenOver(
  target: ServedTarget,
  followed: FollowedSegment,
  { seconds, cancel }: DeltaQuery,
): Promise<{ readonly until: Segment; readonly ended: bigint }> {
  // Too many are a negative time.Duration, and over at once.
  const ms = Number(BigInt.asIntN(64, seconds * 1_000_000_000n)) / 1e6;
  await sleep(Math.min(Math.max(0, ms), MAX_TIMER_MS), undefined, { signal: cancel });
  checkSame(target, followed);
  return { until: target.segment(followed), ended: unixNanos() };
}

/** Undefined without a service to ask. */
async function goChanges(
  { upstream }: ServedTarget,
  { seconds, cAlone, cancel }: DeltaQuery,
): Promise<{ readonly profile: Profile; readonly name: string } | undefined> {
  if (upstream === undefined || cAlone) return undefined;
  try {
    const { bytes, name } = await upstream.heap({ gc: false, seconds }, cancel);
    return { profile: parseGoProfile(bytes, name), name };
  } catch (error) {
    throw withWayToC(error);
  }
}

function hasEnded({ name }: ServedTarget, { at }: SegmentEnd): HttpError {
  const when = at === undefined ? '' : ` at ${at.toISOString()}`;
  return new HttpError(503, `cgoprof: ${name}: its process has ended${when}: nothing changes any more`);
}

function checkHasNotEnded(target: ServedTarget, followed: FollowedSegment): void {
  if (target.current() === followed) return;
  throw new CgoprofError({ what: target.name, why: 'its process ended meanwhile', hint: 'Try again.' });
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
