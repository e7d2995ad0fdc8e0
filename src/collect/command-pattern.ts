/**
 * Finds processes by the name of their executable, by its path, or by their command line.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
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

/** What a pattern may describe of a process. */
class Names {
  #line: string | undefined;

  constructor(
    private readonly procRoot: string,
    private readonly pid: number,
    /** Path of its executable. */
    readonly executable: string,
  ) {}

  /** Words joined by spaces. */
  get commandLine(): string {
    this.#line ??= commandLine(this.procRoot, this.pid);
    return this.#line;
  }
}

export interface Matching {
  readonly pids: readonly number[];
  /** Executables, each once, of processes that would match too if upper and lower case were the same. */
  readonly alike: readonly string[];
}

/**
 * Living processes whose executable has that base name; for a pattern with a slash or a space, whose executable has that
 * path, or whose whole command line, words joined by spaces, is that. A path without wildcards is resolved from the
 * working directory. Not this process, whose command line holds the pattern itself. Costs every process of the machine
 * the reading of a link, for a pattern with a slash or a space that of its command line too.
 */
export function findByPattern(procRoot: string, pattern: string): Matching {
  const path = executablePath(pattern);
  const fits = matcher(pattern, path, (text) => text);
  const fitsButForCase = matcher(pattern, path, (text) => text.toLowerCase());
  const pids: number[] = [];
  const alike = new Set<string>();
  for (const pid of listPids(procRoot)) {
    if (pid === process.pid) continue;
    const names = new Names(procRoot, pid, commandOf(procRoot, pid));
    const isSame = fits(names);
    if (!isSame && !fitsButForCase(names)) continue;
    if (!isProgram(procRoot, pid)) continue;
    if (isSame) pids.push(pid);
    else alike.add(names.executable);
  }
  return { pids, alike: [...alike] };
}

/** @param fold Makes texts equal that are to be taken for the same. */
function matcher(pattern: string, path: string | undefined, fold: (text: string) => string): (names: Names) => boolean {
  const wanted = fold(pattern);
  const fits = (text: string) => matchesPattern(wanted, fold(text));
  if (!/[/ ]/.test(pattern)) return ({ executable }) => fits(basename(executable));
  const isAt = (executable: string) => path !== undefined && fold(path) === fold(executable);
  return (names) => isAt(names.executable) || fits(names.executable) || fits(names.commandLine);
}

/** Whether a pattern is the path of a file that is not there, or cannot be seen. */
export function isMissingFile(pattern: string): boolean {
  return isPath(pattern) && !pattern.includes(' ') && !existsSync(pattern);
}

function isPath(pattern: string): boolean {
  return pattern.includes('/') && !/[*?]/.test(pattern);
}

/** What a path leads to now: a link may lead to another release later. Undefined for a pattern that is none. */
function executablePath(pattern: string): string | undefined {
  if (!isPath(pattern)) return undefined;
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
