/**
 * Parses a profile that a person has named, and says what would have been one; and when it is not of the program at hand.
 */
import type { Profile } from 'pprof-format';
import { type Context, say } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { Segment } from '../native-binding.js';
import { parseHeapProfile } from './go-profile.js';
import { holdsCMemory } from './heap-profile.js';
import { otherProgramNote, programOf } from './same-program.js';

const HINT = 'Give a heap profile: the /debug/pprof/heap of a service, or a file of it.';

/** @param name Where the bytes came from. @throws CgoprofError */
export function parseProfile(bytes: Uint8Array, name: string): Profile {
  try {
    return parseHeapProfile(bytes, name);
  } catch (error) {
    if (!(error instanceof CgoprofError) || error.hint !== '') throw error;
    throw new CgoprofError({ what: '', why: error.message, hint: HINT, cause: error });
  }
}

/**
 * Parses what --go names: it must be Go's own profile. Of one that holds C memory already, that memory would count twice.
 *
 * @throws CgoprofError
 */
export function parseGoProfile(bytes: Uint8Array, name: string): Profile {
  const profile = parseProfile(bytes, name);
  if (holdsCMemory(profile)) {
    const hint = 'Merge finished profiles with cgoprof merge.';
    throw new CgoprofError({ what: name, why: 'is a merged profile: it holds C memory already', hint });
  }
  return profile;
}

/** A Go profile of another program is merged all the same, for whoever knows why; but not without a word. */
export function sayIfOther(context: Context, profile: Profile, segments: readonly Segment[]): void {
  const note = otherProgramNote(programOf(profile), segments);
  if (note !== undefined) say(context, `warning: ${note}`);
}
