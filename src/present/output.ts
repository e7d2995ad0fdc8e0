/**
 * Where a merged profile goes, and the line that says so.
 */
import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Profile } from 'pprof-format';
import { type Context, say } from '../context.js';
import { CgoprofError, systemReason, usageError } from '../errors.js';
import { isFromC } from '../merge/heap-profile.js';
import { formatBytes } from './units.js';
import { writeProfile } from './write-profile.js';

export const STDOUT = '-';

/** Refuses an output that cannot be written before long work is done for it. @throws CgoprofError */
export function checkOutput(context: Pick<Context, 'stdoutIsTerminal'>, output: string): void {
  if (output === STDOUT) {
    if (context.stdoutIsTerminal) {
      throw usageError('-o -', 'a profile is not for a terminal', 'Give a file, or pipe the output somewhere.');
    }
    return;
  }
  if (output === '') throw usageError('-o', 'needs the name of a file');
  const hint = 'Choose another file with -o FILE.';
  if (output.endsWith('/')) throw new CgoprofError({ what: output, why: 'is a directory', hint });
  let existing: Stats | undefined;
  try {
    existing = statSync(output, { throwIfNoEntry: false });
    if (!existing || existing.isFile()) accessSync(dirname(output), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CgoprofError({ what: output, why: `cannot be written: ${systemReason(error)}`, hint, cause: error });
  }
  if (existing?.isDirectory()) throw new CgoprofError({ what: output, why: 'is a directory', hint });
}

/** Writes the profile and says what is in it. @throws OutputError */
export async function presentProfile(context: Context, profile: Profile, output: string): Promise<void> {
  await writeProfile(profile, output);
  const { c, go } = inUseBytes(profile);
  const held = `${formatBytes(c)} in use by C, ${formatBytes(go)} by Go`;
  say(context, output === STDOUT ? held : `wrote ${output}: ${held}; look at it: go tool pprof ${output}`);
}

/** Bytes in use per allocator, from the merged profile itself. */
export function inUseBytes(profile: Profile): { c: number; go: number } {
  const { strings } = profile.stringTable;
  const column = profile.sampleType.findIndex(({ type }) => strings[Number(type)] === 'inuse_space');
  const held = { c: 0, go: 0 };
  for (const sample of profile.sample) {
    held[isFromC(profile, sample) ? 'c' : 'go'] += Number(sample.value[column] ?? 0);
  }
  return held;
}
