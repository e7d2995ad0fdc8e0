/**
 * The command that `run` is to start: finds its file, refuses what the dynamic loader would not preload into, and
 * decides which processes are to be profiled.
 */
import { accessSync, constants, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Context } from '../context.js';
import { CgoprofError, errorCode, systemReason } from '../errors.js';
import type { ExecutableInfo, NativeBinding } from '../native-binding.js';
import { OWN_MALLOC, OWN_MALLOC_HINT } from './start-failure.js';
import { BARRIERS, findWrapper, WRAPPERS } from './wrappers.js';

export interface Command {
  /** The file to start. */
  readonly path: string;
  /** argv[0]: the command as it was typed. */
  readonly name: string;
  readonly args: readonly string[];
}

/** What execvp searches when PATH is not set. */
const DEFAULT_PATH = '/usr/local/bin:/bin:/usr/bin';

/** Finds a command as a shell would. @throws CgoprofError when there is none that can be started */
export function resolveCommand(context: Context, name: string, args: readonly string[]): Command {
  const searched = !name.includes('/');
  const candidates = searched
    ? (context.env.PATH ?? DEFAULT_PATH).split(':').map((dir) => join(dir || '.', name))
    : [name];
  let refusal: CgoprofError | undefined;
  for (const path of candidates) {
    const reason = whyNotExecutable(path);
    if (reason === undefined) return { path: path.includes('/') ? path : `./${path}`, name, args };
    if (reason !== 'ENOENT') refusal ??= new CgoprofError({ what: `run: ${path}`, ...reason });
  }
  throw refusal ?? notFound(name, searched);
}

function notFound(name: string, searched: boolean): CgoprofError {
  return new CgoprofError({
    what: `run: ${name}`,
    why: searched ? 'no such command in PATH' : 'no such file',
    hint: searched
      ? `A program in this directory is started as ./${name}.`
      : 'Give the path of the program, or a command in PATH.',
  });
}

function whyNotExecutable(path: string): 'ENOENT' | { why: string; hint: string } | undefined {
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (error) {
    const denied = errorCode(error) === 'EACCES';
    return denied ? { why: 'permission denied', hint: 'A directory on the way to it is closed to you.' } : 'ENOENT';
  }
  if (stat.isDirectory()) return { why: 'is a directory', hint: 'Give the path of a program.' };
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch {
    return { why: 'permission denied', hint: `Make it executable: chmod +x ${path}` };
  }
}

/**
 * Looks at the command's file and says what CGOPROF_PROFILE has to be for it.
 *
 * @param wish What --profile asked for, if anything.
 * @throws CgoprofError when a library cannot be preloaded into it
 */
export function chooseProfile(
  context: Context,
  native: NativeBinding,
  command: Command,
  options: { readonly wish: string | undefined; readonly follow: boolean },
): string {
  const info = inspect(native, command);
  const names = [basename(command.path), basename(realpathSync(command.path))];
  refuseBarrier(command, names);
  if (info.format === 'other') {
    throw refusal(
      command,
      'neither an ELF executable nor a #! script',
      `If it is a shell script: cgoprof run -- sh ${command.name}`,
    );
  }
  if (info.format === 'elf') refuseUnpreloadable(context, command, info);
  if (options.wish !== undefined) return options.wish;
  if (info.format === 'script' || info.isGo || findWrapper(WRAPPERS, names)) return 'go';
  // Its children may be any program: a name would not follow them.
  return options.follow ? 'all' : (names[1] as string);
}

function inspect(native: NativeBinding, command: Command): ExecutableInfo {
  try {
    return native.inspectExecutable(command.path);
  } catch (error) {
    const why = errorCode(error) === 'EACCES' ? 'cannot be read: permission denied' : systemReason(error);
    throw refusal(command, why, 'cgoprof reads the file to see whether a library can be preloaded into it.', error);
  }
}

function refuseBarrier(command: Command, names: readonly string[]): void {
  const barrier = findWrapper(BARRIERS, names);
  if (!barrier) return;
  const hint = names.includes('sudo')
    ? 'Put it in front: sudo cgoprof run -- COMMAND'
    : "Run cgoprof where the service starts, or set there what 'cgoprof env' prints.";
  throw refusal(command, `cannot profile through ${command.name}: ${barrier.why}`, hint);
}

function refuseUnpreloadable(context: Context, command: Command, info: ExecutableInfo): void {
  if (info.machine !== context.machine) {
    throw refusal(
      command,
      `built for ${info.machine}, but this cgoprof is for ${context.machine}`,
      'Build it for this machine.',
    );
  }
  if (!info.dynamic) {
    const hint = info.isGo
      ? 'A Go program without cgo has no C memory to profile; one with cgo must be linked without -static.'
      : 'Link it dynamically (without -static).';
    throw refusal(command, 'statically linked, so no library can be preloaded into it', hint);
  }
  if (info.hasOwnMalloc) {
    throw refusal(command, OWN_MALLOC, OWN_MALLOC_HINT);
  }
  const raised = whySecureExecution(context, statSync(command.path), info);
  if (raised) {
    throw refusal(
      command,
      `${raised}, so the loader ignores LD_PRELOAD`,
      `Profile a copy without it: cp ${command.path} /tmp/`,
    );
  }
}

/**
 * Why the kernel starts this file in secure-execution mode (AT_SECURE), undefined if it does not. As in the kernel's
 * cap_bprm_creds_from_file: setuid and setgid count only if they change the id, capabilities only for other users than root.
 */
function whySecureExecution(context: Context, stat: Stats, info: ExecutableInfo): string | undefined {
  const setgid = constants.S_IXGRP | 0o2000; // Without the group's x bit it means mandatory locking.
  if (stat.mode & 0o4000 && stat.uid !== context.uid) return `setuid to user ${stat.uid}`;
  if ((stat.mode & setgid) === setgid && stat.gid !== context.gid) return `setgid to group ${stat.gid}`;
  if (info.hasCapabilities && context.uid !== 0) return 'it has file capabilities';
  return undefined;
}

function refusal(command: Command, why: string, hint: string, cause?: unknown): CgoprofError {
  return new CgoprofError({ what: `run: ${command.name}`, why, hint, cause });
}
