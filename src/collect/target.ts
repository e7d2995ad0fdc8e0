/**
 * TARGET on the command line, a pid or a segment file, becomes the segment to read.
 */
import { basename, join } from 'node:path';
import { type Context, say } from '../context.js';
import { CgoprofError, errorCode } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { type FoundSegment, livenessCheck, newestFirst, SEGMENT_NAME, segmentFiles } from './find-segments.js';
import { whyIdle } from './idle-library.js';
import { type MappedSegments, mappedSegments } from './mapped-segments.js';
import { bootId, isAlive, keyOf, statusField } from './processes.js';
import { readSegmentHeader } from './read-segment.js';
import { startFailure } from './start-failure.js';

/** @throws CgoprofError that says why there is nothing to read */
export function resolveTarget(context: Context, native: NativeBinding, target: string): FoundSegment {
  if (!/^\d+$/.test(target)) {
    const header = readSegmentHeader(native, target);
    return { path: target, header, livePid: livenessCheck(context)(target, header) };
  }
  const pid = Number(target);
  const mapped = isAlive(context.procRoot, pid) ? mapsOf(context, pid) : undefined;
  return mapped && !mapped.ending ? segmentOfLiving(context, native, pid, mapped) : segmentOfDead(context, native, pid);
}

/** Prefix under which a process's files are found: its own root while it lives, none after. */
export function fileSystemRoot(context: Pick<Context, 'procRoot'>, livePid: number | undefined): string {
  return livePid === undefined ? '' : join(context.procRoot, String(livePid), 'root');
}

function segmentOfLiving(context: Context, native: NativeBinding, pid: number, mapped: MappedSegments): FoundSegment {
  if (mapped.paths.length > 0) return newest(context, pid, readHeaders(native, mapped.paths, pid));
  if (mapped.lost.length > 0) {
    throw new CgoprofError({
      what: `pid ${pid}`,
      why: `its segment ${mapped.lost[0]} was deleted`,
      hint: context.uid === 0 ? FOR_ROOT : 'Only root can still read it.',
    });
  }
  if (mapped.failure !== undefined) throw startFailure(pid, mapped.failure);
  if (mapped.library === 'attached') {
    throw new CgoprofError({
      what: `pid ${pid}`,
      why: 'not profiled: libcgoprof.so is loaded, but records nothing: it is a fork of a process that was attached to, or an attach failed',
      hint: `Attach to it: cgoprof attach ${pid}`,
    });
  }
  if (mapped.library === 'preloaded') throw whyIdle(context, native, pid);
  const before = segmentBeforeExec(context, native, pid);
  if (before !== undefined) {
    throw new CgoprofError({
      what: `pid ${pid}`,
      why: 'not profiled any more: it has executed another program, without libcgoprof.so',
      hint: `What it held until then: cgoprof heap ${before}; 'cgoprof run --follow' profiles what comes after.`,
    });
  }
  throw new CgoprofError({
    what: `pid ${pid}`,
    why: 'not profiled: libcgoprof.so is not loaded in it',
    hint: `Attach to it: cgoprof attach ${pid}; or start it as 'cgoprof run -- COMMAND'.`,
  });
}

/** A segment that is this process's by pid, start time and boot, though it has it mapped no more. */
function segmentBeforeExec(context: Context, native: NativeBinding, pid: number): string | undefined {
  const name = `${keyOf(context.procRoot, pid)}.seg`;
  const isOfThisBoot = (path: string): boolean => {
    try {
      return readSegmentHeader(native, path).bootId === bootId(context.procRoot);
    } catch {
      return false;
    }
  };
  return segmentFiles(context).find((path) => basename(path) === name && isOfThisBoot(path));
}

function segmentOfDead(context: Context, native: NativeBinding, pid: number): FoundSegment {
  const paths = segmentFiles(context).filter((path) => Number(SEGMENT_NAME.exec(basename(path))?.[1]) === pid);
  if (paths.length === 0) {
    throw new CgoprofError({
      what: `pid ${pid}`,
      why: 'no such process, and none of that pid left a segment behind',
      hint: "Run 'cgoprof ps' to see the profiled processes, living and dead.",
    });
  }
  return newest(context, pid, readHeaders(native, paths, undefined));
}

/** Undefined when the process has ended meanwhile. */
function mapsOf(context: Context, pid: number): MappedSegments | undefined {
  try {
    return mappedSegments(context.procRoot, pid);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    throw new CgoprofError({ what: `pid ${pid}`, ...whyClosed(context, pid), cause: error });
  }
}

const FOR_ROOT =
  'Root needs CAP_SYS_PTRACE for it: in a container --cap-add=SYS_PTRACE. A security module may forbid it too.';

/** Why the kernel does not let us look: proc(5) and "Ptrace access mode checking" in ptrace(2). */
function whyClosed({ procRoot, uid }: Context, pid: number): { readonly why: string; readonly hint: string } {
  if (uid === 0) return { why: 'the kernel does not let this root look at it', hint: FOR_ROOT };
  const [owner] = statusField(procRoot, pid, 'Uid') ?? [];
  if (owner !== String(uid)) {
    return {
      why: 'not yours: the process belongs to another user',
      hint: 'Look at it as that user, or as root, with sudo.',
    };
  }
  const why =
    'it is closed to its own user: it has changed its user, has capabilities, or asked for it (PR_SET_DUMPABLE)';
  return { why, hint: 'Look at it as root.' };
}

/** Those that can be read; the first one's error when none can. */
function readHeaders(native: NativeBinding, paths: readonly string[], livePid: number | undefined): FoundSegment[] {
  const segments: FoundSegment[] = [];
  let firstError: unknown;
  for (const path of paths) {
    try {
      segments.push({ path, header: readSegmentHeader(native, path), livePid });
    } catch (error) {
      firstError ??= error;
    }
  }
  if (segments.length === 0) throw firstError;
  return segments;
}

function newest(context: Context, pid: number, segments: readonly FoundSegment[]): FoundSegment {
  const [first, ...older] = newestFirst(segments);
  if (!first) throw new Error('no segment to choose from');
  if (older.length > 0) {
    say(context, `pid ${pid} has ${segments.length} segments; taking the newest, ${first.path}`);
  }
  return first;
}
