/**
 * Finds the segments there are: those mapped by living processes, and the files that dead ones left behind.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../context.js';
import { errorCode } from '../errors.js';
import type { NativeBinding, SegmentHeader } from '../native-binding.js';
import { type MappedSegments, mappedSegments, mappedSegmentsIfOurs } from './mapped-segments.js';
import { bootId, listPids, livingProcesses, processKey } from './processes.js';
import { readSegmentHeader } from './read-segment.js';
import { startFailure } from './start-failure.js';

export interface FoundSegment {
  readonly path: string;
  readonly header: SegmentHeader;
  /** The process that writes it, as we see its pid; undefined once it is dead. */
  readonly livePid: number | undefined;
}

export const SEGMENT_NAME = /^(\d+)-(\d+)\.seg$/;

/**
 * Directories in which segments of dead processes may lie: CGOPROF_DIR where it is set (the library takes absolute paths
 * only), and the default directories, which for root are everybody's. A directory that is not its user's own is passed
 * over, so that nobody can lead us elsewhere by a link.
 */
export function segmentDirectories(context: Context): string[] {
  const names = context.uid === 0 ? listDirectory(context.shmRoot) : [`cgoprof-${context.uid}`];
  const defaults = names
    .filter((name) => /^cgoprof-\d+$/.test(name))
    .filter((name) => isOwnDirectory(join(context.shmRoot, name), Number(name.slice('cgoprof-'.length))))
    .map((name) => join(context.shmRoot, name));
  const chosen = context.env.CGOPROF_DIR;
  return chosen?.startsWith('/') ? [...new Set([chosen, ...defaults])] : defaults;
}

/** Segment files in those directories. */
export function segmentFiles(context: Context): string[] {
  return segmentDirectories(context).flatMap((directory) =>
    listDirectory(directory)
      .filter((name) => SEGMENT_NAME.test(name))
      .map((name) => join(directory, name)),
  );
}

/**
 * Every segment that can be read, living processes' first, each with its process. Files that cannot be read are handed
 * to `warn` and left out, as are processes that could not make one.
 */
export function findSegments(context: Context, native: NativeBinding, warn: (error: Error) => void): FoundSegment[] {
  const seen = new Set<string>();
  const found: FoundSegment[] = [];
  const add = (path: string, livePid?: number): void => {
    const id = fileId(path);
    if (id === undefined || seen.has(id)) return;
    seen.add(id);
    try {
      const header = readSegmentHeader(native, path);
      found.push({ path, header, livePid: livePid ?? livePidOf(path, header) });
    } catch (error) {
      warn(error as Error);
    }
  };
  const livePidOf = livenessCheck(context);
  const files = segmentFiles(context);
  for (const pid of listPids(context.procRoot)) {
    const mapped = mappedSegmentsIfOurs(context.procRoot, pid);
    if (mapped?.failure !== undefined) warn(startFailure(pid, mapped.failure));
    for (const path of mapped?.paths ?? []) add(pathInDirectory(path, files) ?? path, pid);
  }
  for (const path of files) add(path);
  return found;
}

/**
 * Tells the living process that writes a segment, if there is one: same boot, same pid, same start time. A process that
 * has executed another program since is another one in all but these, and has the segment mapped no more.
 */
export function livenessCheck(context: Context): (path: string, header: SegmentHeader) => number | undefined {
  const boot = bootId(context.procRoot);
  const living = livingProcesses(context.procRoot);
  return (path, header) => {
    const pid = header.bootId === boot ? living.get(processKey(header.pid, header.startTimeTicks)) : undefined;
    return pid !== undefined && mayHaveMapped(context.procRoot, pid, path) ? pid : undefined;
  };
}

/** False only if we can see that it has not. */
function mayHaveMapped(procRoot: string, pid: number, path: string): boolean {
  try {
    return hasMapped(mappedSegments(procRoot, pid), path);
  } catch {
    return true;
  }
}

/** Whether a segment is among those, or may be. */
export function hasMapped({ paths, lost }: MappedSegments, path: string): boolean {
  return lost.length > 0 || paths.some((mapped) => fileId(mapped) === fileId(path));
}

/** Of several segments the one made last. */
export function newestFirst(segments: readonly FoundSegment[]): FoundSegment[] {
  return [...segments].sort((a, b) => Number(b.header.createdUnixNs - a.header.createdUnixNs));
}

/** A path through /proc/PID dies with the process; the same file's own name, where there is one, does not. */
function pathInDirectory(path: string, files: readonly string[]): string | undefined {
  const id = fileId(path);
  return files.find((file) => fileId(file) === id);
}

/** Tells a file from all others that are there now; undefined when there is none. */
export function fileId(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function isOwnDirectory(path: string, uid: number): boolean {
  try {
    const stat = lstatSync(path);
    return stat.isDirectory() && stat.uid === uid;
  } catch {
    return false;
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errorCode(error))) return [];
    throw error;
  }
}
