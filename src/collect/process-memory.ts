/**
 * What of a process's memory is resident, as /proc/PID/status has it. The kernel keeps these numbers, so asking is cheap
 * and disturbs nobody; smaps, which tells more, makes it walk the page tables under the lock of the target's mappings.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes. */
export interface ProcessMemory {
  /** All of it: the sum of the others, which the kernel does not read at one instant. */
  readonly resident: number;
  /** Of no file: the heaps of C and Go, stacks. */
  readonly anonymous: number;
  /** Of files: code first of all. */
  readonly file: number;
  /** Shared memory and tmpfs: also the segment. */
  readonly shared: number;
}

/** Undefined when the process has ended, or has no memory of its own. */
export function readProcessMemory(procRoot: string, pid: number): ProcessMemory | undefined {
  try {
    return parseProcessMemory(readFileSync(join(procRoot, String(pid), 'status'), 'latin1'));
  } catch {
    return undefined; // Gone.
  }
}

/** Undefined unless all of it is there. */
export function parseProcessMemory(status: string): ProcessMemory | undefined {
  // Of a name that the process gave itself the kernel escapes line feeds, and no other character that ends a line.
  const lines = status.split('\n');
  const [resident, anonymous, file, shared] = ['VmRSS', 'RssAnon', 'RssFile', 'RssShmem'].map((name) =>
    kilobytes(lines.find((line) => line.startsWith(`${name}:`))),
  );
  if (resident === undefined || anonymous === undefined || file === undefined || shared === undefined) return undefined;
  return { resident, anonymous, file, shared };
}

/** A line `NAME: 1234 kB`, in bytes. */
function kilobytes(line: string | undefined): number | undefined {
  const bytes = Number(/^\w+:[ \t]*(\d{1,15}) kB$/.exec(line ?? '')?.[1] ?? Number.NaN) * 1024;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
