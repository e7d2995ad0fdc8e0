/**
 * `cgoprof merge`: makes one profile of files, any number of pprof heap profiles and segments.
 */
import type { Profile } from 'pprof-format';
import { livenessCheck } from '../collect/find-segments.js';
import { readProfileInput } from '../collect/profile-input.js';
import { readSegment } from '../collect/read-segment.js';
import { type Context, DONE, type Ending, say } from '../context.js';
import { CgoprofError, systemReason, usageError } from '../errors.js';
import { cProfile } from '../merge/c-profile.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { parseProfile } from '../merge/parse-profile.js';
import { segmentNotes } from '../merge/segment-notes.js';
import type { NativeBinding } from '../native-binding.js';
import { checkOutput, presentProfile } from '../present/output.js';
import { type CollectedSegment, symbolizeSegments } from './symbolize-segments.js';

export interface MergeOptions {
  /** File, or '-' for standard output. */
  readonly output?: string | undefined;
  readonly showPlumbing: boolean;
}

export async function merge(context: Context, inputs: readonly string[], options: MergeOptions): Promise<Ending> {
  if (options.output === undefined) throw usageError('merge', 'needs -o FILE');
  checkOutput(context, options.output);

  const native = await context.loadNative();

  const { profiles, segments } = collectInputs(context, native, inputs);

  const symbolized = await symbolizeSegments(context, native, segments);

  const c = symbolized.map((one) => cProfile(one, options));
  const merged = mergeProfiles({ go: profiles, c });

  for (const note of segments.flatMap(({ segment }) => segmentNotes(segment))) say(context, note);
  await presentProfile(context, merged, options.output);
  return DONE;
}

/** As for Go's own profile over HTTP: more than this is not a heap profile. */
const MAX_INPUT_BYTES = 512 * 2 ** 20;

function collectInputs(
  context: Context,
  native: NativeBinding,
  inputs: readonly string[],
): { profiles: Profile[]; segments: CollectedSegment[] } {
  const profiles: Profile[] = [];
  const segments: CollectedSegment[] = [];
  const livePidOf = livenessCheck(context);
  for (const path of inputs) {
    const input = readInput(path);
    if (input !== 'segment') {
      profiles.push(parseProfile(input, path));
      continue;
    }
    const segment = readSegment(native, path);
    segments.push({ segment, livePid: livePidOf(path, segment.header) });
  }
  return { profiles, segments };
}

function readInput(path: string): Uint8Array | 'segment' {
  try {
    return readProfileInput(path, MAX_INPUT_BYTES);
  } catch (error) {
    const hint = 'Give pprof heap profiles and segments.';
    throw new CgoprofError({ what: path, why: systemReason(error), hint, cause: error });
  }
}
