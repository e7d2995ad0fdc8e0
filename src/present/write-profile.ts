/** Puts a profile where it was asked for: gzipped, whole or not at all. */
import { realpathSync, renameSync, rmSync, type Stats, statSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Profile } from 'pprof-format';
import { CgoprofError, systemReason } from '../errors.js';

/** Output that could not be written; `message` is `path: reason`. */
export class OutputError extends CgoprofError {}

function writeStdout(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // A reader that went away is reported twice, here and to the callback; unheard, the first would end the process.
    process.stdout.once('error', reject);
    process.stdout.write(bytes, (error) => {
      if (error) return reject(error);
      process.stdout.off('error', reject);
      resolve();
    });
  });
}

/**
 * The new file replaces the old one in one step, so that a reader finds either whole. Write and rename are one
 * synchronous stretch: no signal handler of ours can end the process in between and leave the temporary file behind.
 */
function replaceFile(path: string, bytes: Uint8Array, existing: Stats | undefined): void {
  const target = existing === undefined ? path : realpathSync(path);
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, bytes, { flag: 'wx', mode: (existing?.mode ?? 0o666) & 0o777 });
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function write(bytes: Uint8Array, path: string): Promise<void> {
  if (path === '-') return writeStdout(bytes);
  const existing = statSync(path, { throwIfNoEntry: false });
  // A device or a FIFO is a place to write to, not a file to replace: think of -o /dev/null as root.
  const isSpecial = existing !== undefined && !existing.isFile() && !existing.isDirectory();
  if (isSpecial) return writeFile(path, bytes);
  replaceFile(path, bytes, existing);
}

/**
 * Writes gzipped protobuf, as runtime/pprof does.
 *
 * @param path '-' is stdout.
 * @throws OutputError when it can't be written; what was at the path before is then still there, and nothing else.
 */
export async function writeProfile(profile: Profile, path: string): Promise<void> {
  const bytes = await promisify(gzip)(profile.encode());
  try {
    await write(bytes, path);
  } catch (error) {
    const hint = 'Choose another file with -o FILE.';
    throw new OutputError({ what: path === '-' ? 'stdout' : path, why: systemReason(error), hint, cause: error });
  }
}
