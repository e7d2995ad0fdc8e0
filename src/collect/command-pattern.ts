/**
 * Finds processes by the name of their executable, or by their command line.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { commandOf, listPids, readLivingStat } from './processes.js';

/** A longer one is compared as far as this, characters: a process may give itself any. */
const MAX_COMMAND_LINE = 16_384;

/**
 * Whether a text is what a pattern describes, from its first character to its last: `*` stands for any characters, `?` for
 * one. A regular expression could be kept busy by a process that gives itself the command line for it.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  let [at, next, star, resume] = [0, 0, -1, 0];
  while (at < text.length) {
    if (pattern[next] === '*') {
      star = next++;
      resume = at;
    } else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === text[at])) {
      next++;
      at++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(next));
}

/**
 * Living processes whose executable has that base name; for a pattern with a slash or a space, whose executable has that
 * path, or whose whole command line, words joined by spaces, is that. Not this process, whose command line holds the
 * pattern itself. Costs every process of the machine the reading of a link.
 */
export function findByPattern(procRoot: string, pattern: string): number[] {
  const matches = /[/ ]/.test(pattern) ? matchesCommandLine : matchesName;
  return listPids(procRoot).filter(
    (pid) => pid !== process.pid && matches(procRoot, pid, pattern) && isProgram(procRoot, pid),
  );
}

function matchesName(procRoot: string, pid: number, pattern: string): boolean {
  return matchesPattern(pattern, basename(commandOf(procRoot, pid)));
}

function matchesCommandLine(procRoot: string, pid: number, pattern: string): boolean {
  return matchesPattern(pattern, commandOf(procRoot, pid)) || matchesPattern(pattern, commandLine(procRoot, pid));
}

function commandLine(procRoot: string, pid: number): string {
  try {
    const text = readFileSync(join(procRoot, String(pid), 'cmdline'), 'utf8');
    return text.slice(0, MAX_COMMAND_LINE).replace(/\0+$/, '').replaceAll('\0', ' ');
  } catch {
    return ''; // It has ended.
  }
}

/** Not a thread of the kernel's, nor one that has ended. */
function isProgram(procRoot: string, pid: number): boolean {
  return readLivingStat(procRoot, pid)?.isKernelThread === false;
}
