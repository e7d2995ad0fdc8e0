/** The words with which a process was started. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Separated by NUL bytes; undefined once it has ended, or where we may not see it. */
export function commandLine(procRoot: string, pid: number): Uint8Array | undefined {
  try {
    const bytes = readFileSync(join(procRoot, String(pid), 'cmdline'));
    // The kernel ends each word with one.
    return bytes.length > 0 ? bytes.subarray(0, bytes.at(-1) === 0 ? -1 : undefined) : undefined;
  } catch {
    return undefined;
  }
}
