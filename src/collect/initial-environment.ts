/** The environment that a process was started with, where it keeps it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As the kernel shows it; empty where we may not see it. */
export function initialEnvironment(procRoot: string, pid: number): Map<string, string> {
  try {
    const entries = readFileSync(join(procRoot, String(pid), 'environ'), 'utf8').split('\0');
    // The first of several counts.
    return new Map(entries.reverse().map((entry) => [entry.replace(/=.*/s, ''), entry.replace(/^[^=]*=/, '')]));
  } catch {
    return new Map();
  }
}
