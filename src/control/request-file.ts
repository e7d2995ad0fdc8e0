/**
 * Asks a process in which the preloaded library is dormant to record: by a file in the directory of its segments, which
 * the library looks for now and then, removes and obeys (native/preload/request_file.h).
 *
 * The directory may be another user's, in a root file system that is not ours. So nothing on the way to it may be a link,
 * which would lead us elsewhere; and a file is made as that user, who must own the directory, alone.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { initialEnvironment } from '../collect/initial-environment.js';
import { keyOf, statusField } from '../collect/processes.js';
import type { Context } from '../context.js';
import { CgoprofError, errorCode, systemReason } from '../errors.js';
import { DEFAULT_RATE, parseRate } from '../flag-values.js';
import { gone } from './check-process.js';

interface User {
  readonly uid: number;
  readonly gid: number;
}

const DIRECTORY_HINT =
  'CGOPROF_DIR, or else /dev/shm/cgoprof-UID, must be a directory of mode 700 that belongs to the user of the process.';
/** Opens a place and nothing of what is there, for which its user need not be able to list it. */
const O_PATH = 0o10000000;
const DIRECTORY_FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const NEW_FILE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** By which we find the file again. */
export function requestPath(context: Context, pid: number): string {
  return join(context.procRoot, String(pid), 'root', nameOf(context, pid));
}

/** Whether the process has yet to see it. */
export function isRequested(context: Context, pid: number): boolean {
  return existsSync(requestPath(context, pid));
}

/** @param rate Of the person; else that which the process was started with. @throws CgoprofError */
export function makeRequest(context: Context, pid: number, rate: number | undefined): void {
  const content = `${rate ?? startRate(context, pid)}\n`;
  inDirectory(context, pid, (directory, name) => {
    // The library must not see half of it.
    const unfinished = join(directory, `${name}.new`);
    removeIfThere(unfinished);
    writeNew(unfinished, content);
    renameSync(unfinished, join(directory, name));
  });
}

/** @throws CgoprofError */
export function withdrawRequest(context: Context, pid: number): void {
  inDirectory(context, pid, (directory, name) => removeIfThere(join(directory, name)));
}

function writeNew(path: string, content: string): void {
  const fd = openSync(path, NEW_FILE_FLAGS, 0o600);
  try {
    fchmodSync(fd, 0o600); // Whatever the umask.
    writeSync(fd, content);
  } finally {
    closeSync(fd);
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** CGOPROF_RATE of its own environment, as the library would have taken it. */
function startRate(context: Context, pid: number): number {
  try {
    return parseRate(initialEnvironment(context.procRoot, pid).get('CGOPROF_RATE') ?? '');
  } catch {
    return DEFAULT_RATE;
  }
}

/** The file, as the process sees it. */
function nameOf(context: Context, pid: number): string {
  const chosen = initialEnvironment(context.procRoot, pid).get('CGOPROF_DIR');
  const directory = chosen?.startsWith('/') ? chosen : join(context.shmRoot, `cgoprof-${ownUid(context, pid)}`);
  const key = keyOf(context.procRoot, pid);
  if (key === undefined) throw gone(pid);
  return join(directory, `${key}.on`);
}

/** Does something in the directory of its segments, made if need be, as the user of the process. */
function inDirectory(context: Context, pid: number, act: (directory: string, name: string) => void): void {
  const file = nameOf(context, pid);
  const user = userOf(context, pid);
  try {
    const root = openSync(join(context.procRoot, String(pid), 'root'), O_PATH | constants.O_DIRECTORY);
    asUser(context, user, () => {
      const directory = openDirectory(root, dirname(file).split('/').filter(Boolean));
      try {
        checkOwn(directory, user);
        act(pathOf(directory), basename(file));
      } finally {
        closeSync(directory);
      }
    });
  } catch (error) {
    if (error instanceof CgoprofError) throw error;
    const why = `no request can be left for it in ${dirname(file)}: ${systemReason(error)}`;
    throw new CgoprofError({ what: `pid ${pid}`, why, hint: DIRECTORY_HINT, cause: error });
  }
}

/** Goes down from an open directory, which it closes; the last one is made if it is missing. */
function openDirectory(root: number, names: readonly string[]): number {
  let at = root;
  for (const [i, name] of names.entries()) {
    const path = join(pathOf(at), name);
    try {
      if (i === names.length - 1) makeIfMissing(path);
      const next = openSync(path, DIRECTORY_FLAGS);
      closeSync(at);
      at = next;
    } catch (error) {
      closeSync(at);
      throw error;
    }
  }
  return at;
}

function makeIfMissing(path: string): void {
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** What is open keeps its name here, wherever it is moved to. */
function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function checkOwn(directory: number, { uid }: User): void {
  const stat = fstatSync(directory);
  if (stat.uid !== uid || (stat.mode & 0o077) !== 0) throw new Error('it is not a directory of its user’s alone');
}

/** Effective ids, as we see them. */
function userOf({ procRoot, uid, gid }: Context, pid: number): User {
  const effective = (name: string, own: number): number => Number(statusField(procRoot, pid, name)?.[1] ?? own);
  return { uid: effective('Uid', uid), gid: effective('Gid', gid) };
}

/** Effective user, as the process itself sees it: in a user namespace ids are others. */
function ownUid(context: Context, pid: number): number {
  const { uid } = userOf(context, pid);
  const map = readUidMap(join(context.procRoot, String(pid), 'uid_map'));
  const range = map.find(([, outside, count]) => uid >= outside && uid < outside + count);
  return range === undefined ? uid : uid - range[1] + range[0];
}

/** Rows of ids inside, outside, and how many. */
function readUidMap(path: string): [inside: number, outside: number, count: number][] {
  try {
    const rows = [...readFileSync(path, 'utf8').matchAll(/^\s*(\d+)\s+(\d+)\s+(\d+)\s*$/gm)];
    return rows.map(([, inside, outside, count]) => [Number(inside), Number(outside), Number(count)]);
  } catch {
    return [];
  }
}

/** Root becomes the user for as long as that lasts; anybody else is it already. */
function asUser(context: Context, user: User, act: () => void): void {
  if (context.uid !== 0 || (user.uid === 0 && user.gid === context.gid)) {
    act();
    return;
  }
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([user.gid]);
  process.setegid?.(user.gid);
  process.seteuid?.(user.uid);
  try {
    act();
  } finally {
    process.seteuid?.(context.uid);
    process.setegid?.(context.gid);
    process.setgroups?.(groups);
  }
}
