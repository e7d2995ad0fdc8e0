/**
 * What `run -o FILE` does once the command has ended: one profile of all its processes. Whatever can still be had is
 * written; whatever cannot is said.
 */

import type { FoundSegment } from '../collect/find-segments.js';
import { readSegment } from '../collect/read-segment.js';
import { type Context, say } from '../context.js';
import { CgoprofError } from '../errors.js';
import { cProfile } from '../merge/c-profile.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { sayIfOther } from '../merge/parse-profile.js';
import { segmentNotes } from '../merge/segment-notes.js';
import type { NativeBinding } from '../native-binding.js';
import { reportError } from '../present/error-lines.js';
import { presentProfile } from '../present/output.js';
import { formatAge } from '../present/units.js';
import type { DatedProfile } from './run-go-side.js';
import { type CollectedSegment, symbolizeSegments } from './symbolize-segments.js';

export interface EndOfRun {
  /** As in messages: `run: ./server`. */
  readonly what: string;
  /** CGOPROF_PROFILE of the run. */
  readonly profile: string;
  readonly endedAt: Date;
  readonly segments: readonly FoundSegment[];
  /** Why processes that were to be profiled were not, as far as that was seen; was said already. */
  readonly failures: readonly CgoprofError[];
  readonly go: { readonly last: DatedProfile | undefined; readonly error: unknown };
  /** What else a reader of the profile must know; was said already. */
  readonly notes: readonly string[];
  readonly output: string;
  readonly showPlumbing: boolean;
}

/** Whether the profile is written, with the C side in it; if not, why was said. */
export async function writeRunOutput(context: Context, native: NativeBinding, end: EndOfRun): Promise<boolean> {
  try {
    const collected = collectReadable(context, native, end.segments);
    const go = datedGoSide(context, end);
    if (collected.length === 0) context.writeErr(reportError(nothingProfiled(end), context.env).text);
    if (collected.length === 0 && !go) return false;
    const segments = collected.map(({ segment }) => segment);
    if (go) sayIfOther(context, go.profile, segments);

    const symbolized = await symbolizeSegments(context, native, collected);

    const c = symbolized.map((one) => cProfile(one, end));
    const comments = [...(go ? [go.comment] : []), ...end.notes.map((note) => `cgoprof: ${note}`)];
    const merged = mergeProfiles({ go: go ? [go.profile] : [], c, comments });

    for (const note of segments.flatMap((segment) => segmentNotes(segment))) say(context, note);
    await presentProfile(context, merged, end.output);
    return collected.length > 0;
  } catch (error) {
    context.writeErr(reportError(error, context.env).text);
    return false;
  }
}

function collectReadable(
  context: Context,
  native: NativeBinding,
  segments: readonly FoundSegment[],
): CollectedSegment[] {
  const collected: CollectedSegment[] = [];
  for (const { path, livePid, header } of segments) {
    if (livePid !== undefined) say(context, `pid ${livePid} (${header.exePath}) still runs; it is taken as it is now`);
    try {
      collected.push({ segment: readSegment(native, path), livePid });
    } catch (error) {
      context.writeErr(reportError(error, context.env).text);
    }
  }
  return collected;
}

/** The Go profile with its age, which is said here too. */
function datedGoSide(context: Context, { go, endedAt }: EndOfRun): (DatedProfile & { comment: string }) | undefined {
  if (go.last) {
    const age = formatAge(endedAt.getTime() - go.last.takenAt.getTime());
    const text = `Go heap profile ${go.last.name}: taken ${age} before the command ended`;
    say(context, text);
    return { ...go.last, comment: `cgoprof: ${text}` };
  }
  if (go.error !== undefined) {
    say(context, 'warning: without the Go side, which was never fetched:');
    context.writeErr(reportError(go.error, context.env).text);
  }
  return undefined;
}

function nothingProfiled({ what, profile, segments, failures }: EndOfRun): CgoprofError {
  if (segments.length > 0) return new CgoprofError({ what, why: 'no segment of it could be read' });
  if (failures[0]) {
    return new CgoprofError({ what, why: 'nothing was profiled, for the reason above', hint: failures[0].hint });
  }
  const chosen = profile === 'go' ? 'no Go program among its processes' : `no process ${profile}`;
  return new CgoprofError({
    what,
    why: `nothing was profiled: ${profile === 'all' ? 'no process of it' : chosen} left a segment`,
    hint: 'Is it statically linked, started elsewhere, or without room in /dev/shm? --profile NAME chooses a program that is not Go.',
  });
}
