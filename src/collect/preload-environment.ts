/**
 * The environment that makes a process load libcgoprof.so and tells the library what to do: the names in
 * native/preload's contract, written only here.
 */
import { existsSync } from 'node:fs';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';

export interface PreloadSettings {
  /** Mean bytes between samples. */
  readonly rate: number;
  /** go, all, or the base name of an executable. */
  readonly profile: string;
  /** Profile the children of a profiled process too. */
  readonly follow: boolean;
}

/** What only `run` sets. */
export interface RunSettings extends PreloadSettings {
  /** Marks the segments of this run; lower-case hex, not zero. */
  readonly runId: string;
  /** Keep the segment also when the process ends by its exit handlers. */
  readonly keep: boolean;
}

/** The lines that a Dockerfile or a unit file needs, in order. @throws CgoprofError */
export function preloadVariables(context: Context, settings: PreloadSettings): Record<string, string> {
  return {
    LD_PRELOAD: checkedLibrary(context),
    CGOPROF_RATE: String(settings.rate),
    CGOPROF_PROFILE: settings.profile,
    ...(settings.follow ? { CGOPROF_FOLLOW: '1' } : {}),
  };
}

/**
 * The whole environment for a command under `run`. Libraries that the user preloads already stay, behind ours: an
 * allocator among them must be the one that ours calls. What an outer cgoprof left is replaced. @throws CgoprofError
 */
export function runEnvironment(context: Context, settings: RunSettings): Record<string, string> {
  const inherited = Object.entries(context.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (!entry[0].startsWith('CGOPROF_') || PASSED_ON.has(entry[0])),
  );
  const variables = preloadVariables(context, settings);
  const library = variables.LD_PRELOAD as string;
  // The loader splits at colons and at spaces.
  const others = (context.env.LD_PRELOAD ?? '').split(/[: ]/).filter((path) => path !== '' && path !== library);
  return {
    ...Object.fromEntries(inherited),
    ...variables,
    LD_PRELOAD: [library, ...others].join(':'),
    CGOPROF_RUN_ID: settings.runId,
    ...(settings.keep ? { CGOPROF_KEEP: '1' } : {}),
  };
}

const PASSED_ON: ReadonlySet<string> = new Set(['CGOPROF_DIR', 'CGOPROF_KEEP', 'CGOPROF_DEBUG']);

/** The path of libcgoprof.so. @throws CgoprofError where there is none */
export function builtLibrary({ libraryPath }: Context): string {
  if (existsSync(libraryPath)) return libraryPath;
  throw new CgoprofError({
    what: libraryPath,
    why: 'the preload library is not built',
    hint: 'Run npm run build in the cgoprof directory.',
  });
}

function checkedLibrary(context: Context): string {
  const libraryPath = builtLibrary(context);
  if (/[: ]/.test(libraryPath)) {
    throw new CgoprofError({
      what: libraryPath,
      why: 'LD_PRELOAD cannot name a path with a space or a colon in it',
      hint: 'Install cgoprof in a directory without them.',
    });
  }
  return libraryPath;
}
