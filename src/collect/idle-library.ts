/**
 * What can be said of a process that has loaded the library, but has no segment and no word of the library why not. Most
 * are dormant, and keep the environment that they were started with; of one that is to be profiled the library takes its
 * part away first, where the process keeps it, unless children are to be profiled as well.
 */
import { readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { initialEnvironment } from './initial-environment.js';
import { mappedSegmentsIfOurs } from './mapped-segments.js';
import { readLivingStat } from './processes.js';

export function whyIdle(context: Context, native: NativeBinding, pid: number): CgoprofError {
  const what = `pid ${pid}`;
  const fork = whyForkIsIdle(context, pid);
  if (fork !== undefined) return fork;
  const profile = wishedProfile(context.procRoot, pid);
  const chosen = profile === undefined ? undefined : isChosen(context, native, pid, profile);
  if (chosen === false) {
    return new CgoprofError({
      what,
      why: `libcgoprof.so is loaded but dormant: CGOPROF_PROFILE=${profile} does not choose this process`,
      hint: `Switch it on: cgoprof attach ${pid}. By default Go programs are profiled; choose others with --profile NAME.`,
    });
  }
  const known = chosen
    ? `and CGOPROF_PROFILE=${profile} chooses it, but it has made no segment`
    : 'but records nothing';
  return new CgoprofError({
    what,
    why: `not profiled: libcgoprof.so is loaded ${known}, and has not said why`,
    hint:
      'It may be about to start, or a fork of a process that has ended; or it could not start: is there room in ' +
      '/dev/shm, and is CGOPROF_DIR of mode 700?',
  });
}

/** Undefined if it is no fork of a process that is recorded. */
export function whyForkIsIdle(context: Context, pid: number): CgoprofError | undefined {
  const origin = profiledOrigin(context.procRoot, pid);
  if (origin === undefined) return undefined;
  return new CgoprofError({
    what: `pid ${pid}`,
    why: `not profiled: a fork of pid ${origin}, of which alone is recorded`,
    hint: `That one: cgoprof heap ${origin}`,
  });
}

/** The process with a segment that this one is a fork of: an ancestor with the same program at the same place. */
function profiledOrigin(procRoot: string, pid: number): number | undefined {
  const image = readLivingStat(procRoot, pid)?.image;
  let descendant = pid;
  for (;;) {
    const parent = readLivingStat(procRoot, descendant)?.parent ?? 0;
    if (parent === descendant || readLivingStat(procRoot, parent)?.image !== image) return undefined;
    if (hasSegment(procRoot, parent)) return parent;
    descendant = parent;
  }
}

function hasSegment(procRoot: string, pid: number): boolean {
  const mapped = mappedSegmentsIfOurs(procRoot, pid);
  return mapped !== undefined && mapped.paths.length + mapped.lost.length > 0;
}

/** CGOPROF_PROFILE, where the process still has the environment that loads the library. */
function wishedProfile(procRoot: string, pid: number): string | undefined {
  const environment = initialEnvironment(procRoot, pid);
  const preloaded = (environment.get('LD_PRELOAD') ?? '').split(/[: ]/);
  if (!preloaded.some((path) => basename(path) === 'libcgoprof.so')) return undefined;
  return environment.get('CGOPROF_PROFILE') || 'go';
}

/** As the library decides; undefined where that cannot be seen. */
function isChosen(context: Context, native: NativeBinding, pid: number, profile: string): boolean | undefined {
  const executable = join(context.procRoot, String(pid), 'exe');
  try {
    if (profile === 'all') return true;
    if (profile === 'go') return native.inspectExecutable(executable).isGo;
    return basename(readlinkSync(executable).replace(/ \(deleted\)$/, '')) === profile;
  } catch {
    return undefined;
  }
}
