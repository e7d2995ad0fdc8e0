/** Notices a Go profile that belongs to another program or process than the C side: a wrong port, an old file. */
import type { Profile } from 'pprof-format';
import type { Segment } from '../native-binding.js';

/** As a profile or a segment tells of it; '' where it does not. */
export interface Program {
  readonly path: string;
  readonly buildId: string;
}

/** Whose profile it is: runtime/pprof lists the main program's mapping first. Undefined without mappings. */
export function programOf(profile: Profile): Program | undefined {
  const [main] = profile.mapping;
  if (main === undefined) return undefined;
  const text = (index: number | bigint) => profile.stringTable.strings[Number(index)] ?? '';
  return { path: text(main.filename), buildId: text(main.buildId) };
}

const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

function isSame(a: Program, b: Program): boolean {
  if (a.buildId !== '' && b.buildId !== '') return a.buildId === b.buildId;
  return a.path === '' || b.path === '' || baseName(a.path) === baseName(b.path);
}

/**
 * What to tell the person when the profile comes from none of the segments' programs; undefined when it fits, or when
 * nothing can be said (a profile or a segment without mappings).
 *
 * @param go From {@link programOf}.
 */
export function otherProgramNote(go: Program | undefined, segments: readonly Segment[]): string | undefined {
  const programs = segments.flatMap(({ modules }) => modules.filter(({ isExecutable }) => isExecutable));
  if (go === undefined || programs.length === 0 || programs.some((program) => isSame(go, program))) return undefined;
  return `the Go profile is of another program or build (${go.path}) than the C side (${programs[0]?.path})`;
}

/**
 * The same of two processes, by their words separated by NUL bytes. A process may change its own, which is no proof. They
 * are not repeated: there may be secrets among them, and profiles are kept.
 *
 * @param pid Of the C side, as we see it.
 */
export function otherProcessNote(told: Uint8Array, own: Uint8Array, pid: number): string | undefined {
  if (Buffer.compare(told, own) === 0) return undefined;
  return `the Go profile may be of another process than the C side: the command line that the service tells is not that of pid ${pid}`;
}
