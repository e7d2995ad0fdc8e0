/**
 * Parses a profile that a person has named, and says what would have been one.
 */
import type { Profile } from 'pprof-format';
import { CgoprofError } from '../errors.js';
import { parseHeapProfile } from '../merge/go-profile.js';

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
