/**
 * Finds processes by the name of their executable, by its path, or by their command line.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
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

/** Whether a process is one of those that a pattern means. */
type Matches = (procRoot: string, pid: number) => boolean;

/**
 * Living processes whose executable has that base name; for a pattern with a slash or a space, whose executable has that
 * path, or whose whole command line, words joined by spaces, is that. A path without wildcards is resolved from the
 * working directory. Not this process, whose command line holds the pattern itself. Costs every process of the machine
 * the reading of a link.
 */
export function findByPattern(procRoot: string, pattern: string): number[] {
  return findBy(
    procRoot,
    matcher(pattern, (text) => text),
  );
}

/** The executables of processes that would match if upper and lower case were the same. */
export function findButForCase(procRoot: string, pattern: string): string[] {
  const pids = findBy(
    procRoot,
    matcher(pattern, (text) => text.toLowerCase()),
  );
  return [...new Set(pids.map((pid) => commandOf(procRoot, pid)))];
}

function findBy(procRoot: string, matches: Matches): number[] {
  return listPids(procRoot).filter((pid) => pid !== process.pid && matches(procRoot, pid) && isProgram(procRoot, pid));
}

/** @param fold Makes texts equal that are to be taken for the same. */
function matcher(pattern: string, fold: (text: string) => string): Matches {
  const wanted = fold(pattern);
  const fits = (text: string) => matchesPattern(wanted, fold(text));
  if (!/[/ ]/.test(pattern)) return (procRoot, pid) => fits(basename(commandOf(procRoot, pid)));
  const path = executablePath(pattern);
  const isAt = (command: string) => path !== undefined && fold(path) === fold(command);
  return (procRoot, pid) => {
    const command = commandOf(procRoot, pid);
    return isAt(command) || fits(command) || fits(commandLine(procRoot, pid));
  };
}

/** What a path leads to now: a link may lead to another release later. Undefined for a pattern that is none. */
function executablePath(pattern: string): string | undefined {
  if (!pattern.includes('/') || /[*?]/.test(pattern)) return undefined;
  try {
    return realpathSync(pattern);
  } catch {
    return resolve(pattern); // It was removed since, or is yet to come.
  }
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
