/** How a process stands to the library, before something is asked of it. */
import { fileId, newestFirst } from '../collect/find-segments.js';
import { type MappedSegments, mappedSegments } from '../collect/mapped-segments.js';
import { isStarting, readSegmentHeader } from '../collect/read-segment.js';
import type { Context } from '../context.js';
import { CgoprofError, errorCode } from '../errors.js';
import type { NativeBinding, SegmentHeader } from '../native-binding.js';
import { gone } from './check-process.js';
import { notPermitted } from './not-permitted.js';
import { waitFor } from './wait-for.js';

export interface OwnSegment {
  /** By which we can open it. */
  readonly path: string;
  readonly header: SegmentHeader;
}

export interface Standing {
  readonly library: MappedSegments['library'];
  /** The newest that it has mapped. */
  readonly segment: OwnSegment | undefined;
  /** A word of the library, why there is none. */
  readonly failure: string | undefined;
}

/** A segment is set up within milliseconds, unless its process is held up. */
const PATIENCE_MS = 2_000;

/** @param command What the person wanted: `attach 4711`. @throws CgoprofError */
export async function standingOf(
  context: Context,
  native: NativeBinding,
  pid: number,
  command: string,
): Promise<Standing> {
  let standing: Standing | undefined;
  await waitFor(() => {
    try {
      standing = lookAt(context, native, pid, command);
    } catch (error) {
      if (!isStarting(error)) throw error;
    }
    return standing !== undefined;
  }, PATIENCE_MS);
  return standing ?? lookAt(context, native, pid, command);
}

function lookAt(context: Context, native: NativeBinding, pid: number, command: string): Standing {
  const { library, paths, lost, failure } = mapsOf(context, pid, command);
  if (paths.length === 0 && lost.length > 0 && library === 'preloaded') {
    throw new CgoprofError({
      what: `pid ${pid}`,
      why: `its segment ${lost[0]} was deleted`,
      hint: `Only root can still reach it: sudo cgoprof ${command}`,
    });
  }
  const found = paths.map((path) => ({ path, header: readSegmentHeader(native, path), livePid: pid }));
  const [newest] = newestFirst(found);
  return { library, segment: newest && { ...newest, path: shortPath(newest.path, context, pid) }, failure };
}

function mapsOf(context: Context, pid: number, command: string): MappedSegments {
  try {
    return mappedSegments(context.procRoot, pid);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EACCES' || code === 'EPERM') throw notPermitted(context, pid, command);
    if (code === 'ENOENT' || code === 'ESRCH') throw gone(pid);
    throw error;
  }
}

/** Without the way through /proc/PID/root, where the rest of the path is the same file to us. */
export function shortPath(path: string, { procRoot }: Context, pid: number): string {
  const root = `${procRoot}/${pid}/root`;
  if (!path.startsWith(`${root}/`)) return path;
  const short = path.slice(root.length);
  const id = fileId(path);
  return id !== undefined && fileId(short) === id ? short : path;
}
