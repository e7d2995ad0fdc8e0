/**
 * The segments a living process has mapped, from its /proc/PID/maps. This finds them wherever the process put them:
 * in another directory, another mount namespace, another pid namespace.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { NO_IMAGE, readLivingStat } from './processes.js';
import { startFailureOf } from './start-failure.js';

export interface MappedSegments {
  /** Paths by which we can open them. */
  readonly paths: readonly string[];
  /** Mapped, but out of our reach: deleted, and only root may follow map_files. As the process names them. */
  readonly lost: readonly string[];
  /** How libcgoprof.so came to be loaded, recording or dormant. */
  readonly library: 'none' | 'preloaded' | 'attached';
  /** Why it could not be profiled, as {@link startFailureOf} finds it. */
  readonly failure: string | undefined;
  /** It is ending: what it had mapped is gone, or was already when we had read but a part. */
  readonly ending: boolean;
}

/** A file mapped by a process. */
interface MappedFile {
  /** START-END of the first mapping: its name in /proc/PID/map_files. */
  readonly range: string;
  readonly inode: number;
  /** As the process sees it. */
  readonly path: string;
}

const SEGMENT_PATH = /\/\d+-\d+\.seg$/;
const LIBRARY_PATH = /\/libcgoprof\.so[^/]*$/;
/** Attached, it came from a file of memory that was made in the process. */
const ATTACHED_LIBRARY_PATH = '/memfd:libcgoprof.so';

/** @throws the system's error when the process does not exist (ENOENT) or is not ours (EACCES). */
export function mappedSegments(procRoot: string, pid: number): MappedSegments {
  const files = parseMappedFiles(readFileSync(join(procRoot, String(pid), 'maps'), 'utf8'));
  const paths: string[] = [];
  const lost: string[] = [];
  for (const file of files.filter((file) => SEGMENT_PATH.test(file.path))) {
    const path = reachablePath(procRoot, pid, file);
    if (path === undefined) lost.push(file.path);
    else paths.push(path);
  }
  return {
    paths,
    lost,
    library: libraryAmong(files),
    failure: files.map(({ path }) => startFailureOf(path)).find((word) => word !== undefined),
    ending: !hasImage(procRoot, pid),
  };
}

function libraryAmong(files: readonly MappedFile[]): MappedSegments['library'] {
  if (files.some(({ path }) => LIBRARY_PATH.test(path))) return 'preloaded';
  return files.some(({ path }) => path === ATTACHED_LIBRARY_PATH) ? 'attached' : 'none';
}

/** Undefined for another user's process, or one that ended while we looked. */
export function mappedSegmentsIfOurs(procRoot: string, pid: number): MappedSegments | undefined {
  try {
    return mappedSegments(procRoot, pid);
  } catch {
    return undefined;
  }
}

/** Asked after the mappings were read: /proc hands them out in parts, and ends early where the process does. */
function hasImage(procRoot: string, pid: number): boolean {
  const stat = readLivingStat(procRoot, pid);
  return stat !== undefined && stat.image !== NO_IMAGE;
}

/** The distinct files in proc(5)'s maps format: `start-end perms offset device inode path`. */
export function parseMappedFiles(maps: string): MappedFile[] {
  const files = new Map<string, MappedFile>();
  for (const line of maps.split('\n')) {
    const match = /^([0-9a-f]+-[0-9a-f]+) \S+ \S+ (\S+) (\d+) +(\/.*)$/.exec(line);
    if (!match) continue;
    const [, range = '', device, inode = '', name = ''] = match;
    const path = name.replace(/ \(deleted\)$/, '').replaceAll('\\012', '\n');
    const key = `${device} ${inode}`;
    if (!files.has(key)) files.set(key, { range, inode: Number(inode), path });
  }
  return [...files.values()];
}

/**
 * A path under which we can open a file that the process mapped. Its own name is right inside its root. When it lives in a
 * chroot, the kernel writes the name as it is outside of that: right in our root, or, where the chroot lies among mounts
 * that we do not have, inside its root without what that is called. map_files works in every case, also when the file was
 * unlinked, but the kernel lets only root follow it.
 */
function reachablePath(procRoot: string, pid: number, file: MappedFile): string | undefined {
  const process = join(procRoot, String(pid));
  const root = join(process, 'root');
  const candidates = [
    join(root, file.path),
    file.path,
    join(root, below(linkTarget(root), file.path)),
    join(process, 'map_files', file.range),
  ];
  return candidates.find((path) => isInode(path, file.inode));
}

/** The rest of a path inside a directory; any other path as it is. */
function below(directory: string, path: string): string {
  return path.startsWith(`${directory}/`) ? path.slice(directory.length) : path;
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function isInode(path: string, inode: number): boolean {
  try {
    return statSync(path).ino === inode;
  } catch {
    return false;
  }
}
