/**
 * Where the segment of a target comes from, and what may follow once its process has ended: for a pid the same process
 * alone, for a name the next process of that name, for a segment file nothing.
 */
import { type Context, say } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { findByPattern, isMissingFile } from './command-pattern.js';
import { type FoundSegment, livenessCheck, newestFirst } from './find-segments.js';
import { keyOf, type ProcessStat, processKey, readLivingStat } from './processes.js';
import { readSegmentHeader } from './read-segment.js';
import { resolveTarget } from './target.js';
import type { NamedTarget } from './target-name.js';

/** A segment, and its process as it was right before that was found: what it is after an exec shows against it. */
export interface Candidate {
  readonly found: FoundSegment;
  /** Undefined where the process had ended before. */
  readonly stat: ProcessStat | undefined;
}

/**
 * Finds what stands for a target, at first and once that has ended.
 *
 * @param ended What stood for it last.
 * @returns undefined when nothing new does
 * @throws CgoprofError why there is nothing; {@link NoProcessYet} where there may be something later
 */
export type TargetSource = (ended: FoundSegment | undefined) => Candidate | undefined;

/** There is nothing to read, but there may be soon. */
export class NoProcessYet extends CgoprofError {}

export function targetSource(context: Context, native: NativeBinding, { kind, text }: NamedTarget): TargetSource {
  if (kind === 'pid') return pidSource(context, native, Number(text));
  if (kind === 'file') return (ended) => (ended === undefined ? fileCandidate(context, native, text) : undefined);
  return patternSource(context, native, text);
}

/** The same process again, once it has executed another program that is profiled too. */
function pidSource(context: Context, native: NativeBinding, pid: number): TargetSource {
  return (ended) => {
    if (ended === undefined) return pidCandidate(context, native, pid);
    const { pid: innerPid, startTimeTicks } = ended.header;
    if (ended.livePid === undefined || keyOf(context.procRoot, pid) !== processKey(innerPid, startTimeTicks)) {
      return undefined;
    }
    const next = pidCandidate(context, native, pid);
    // It may be the same segment: of a program that was executed right before it was found.
    return next.found.livePid === undefined ? undefined : next;
  };
}

function pidCandidate(context: Context, native: NativeBinding, pid: number): Candidate {
  const stat = readLivingStat(context.procRoot, pid);
  const found = resolveTarget(context, native, `${pid}`);
  return { found, stat: found.livePid === undefined ? undefined : stat };
}

/** @throws CgoprofError */
export function fileCandidate(context: Context, native: NativeBinding, path: string): Candidate {
  const header = readSegmentHeader(native, path);
  const pid = livenessCheck(context)(path, header);
  const stat = pid === undefined ? undefined : readLivingStat(context.procRoot, pid);
  // Asked again: it may have executed another program in between.
  const livePid = stat === undefined ? undefined : livenessCheck(context)(path, header);
  return { found: { path, header, livePid }, stat: livePid === undefined ? undefined : stat };
}

/** The newest of the profiled processes that match. */
function patternSource(context: Context, native: NativeBinding, pattern: string): TargetSource {
  return (ended) => {
    const { pids, alike } = findByPattern(context.procRoot, pattern);
    const { candidates, refusals } = profiledProcesses(context, native, pids);
    const [newest] = newestFirst(candidates.map(({ found }) => found));
    if (newest === undefined) {
      if (ended !== undefined) return undefined;
      throw notYet(pattern, alike, refusals);
    }
    if (candidates.length > 1) {
      say(
        context,
        `${pattern}: ${candidates.length} profiled processes match; taking the newest, pid ${newest.livePid}`,
      );
    }
    return candidates.find(({ found }) => found === newest);
  };
}

/** Those that have a segment of their own, and why the others have none. */
function profiledProcesses(
  context: Context,
  native: NativeBinding,
  pids: readonly number[],
): { readonly candidates: Candidate[]; readonly refusals: CgoprofError[] } {
  const candidates: Candidate[] = [];
  const refusals: CgoprofError[] = [];
  for (const pid of pids) {
    try {
      const candidate = pidCandidate(context, native, pid);
      if (isOwn(context, candidate)) candidates.push(candidate);
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error;
      refusals.push(error);
    }
  }
  return { candidates, refusals };
}

/** Between fork and exec a child has its parent's segment mapped, and its program. */
function isOwn({ procRoot }: Context, { found: { livePid, header } }: Candidate): boolean {
  return livePid !== undefined && keyOf(procRoot, livePid) === processKey(header.pid, header.startTimeTicks);
}

function notYet(pattern: string, alike: readonly string[], [refusal, ...more]: readonly CgoprofError[]): NoProcessYet {
  const matched = more.length > 0 ? ` (and ${more.length} more)` : '';
  const hint = "It is served as soon as one does, and is profiled; 'cgoprof ps' lists those that are.";
  return refusal === undefined
    ? new NoProcessYet({
        what: pattern,
        why: 'no such process runs',
        hint: `${mistaken(pattern, alike)}${hint}`,
      })
    : new NoProcessYet({
        what: pattern,
        why: `no process of it is profiled: ${refusal.message}${matched}`,
        hint: refusal.hint,
      });
}

/** What may be wrong with it, a sentence with a space behind it; '' where nothing seems to be. */
function mistaken(pattern: string, [program, ...more]: readonly string[]): string {
  if (program !== undefined) {
    return `${program}${more.length > 0 ? `, and ${more.length} more,` : ''} differs in upper and lower case alone. `;
  }
  return isMissingFile(pattern) ? 'There is no such file now, or it cannot be seen. ' : '';
}
