/** Notices a Go profile that belongs to another program than the C side: a wrong port, an old file. */
import type { Profile } from 'pprof-format';
import type { Segment } from '../native-binding.js';

interface Program {
  readonly path: string;
  readonly buildId: string;
}

/** runtime/pprof lists the main program's mapping first. */
function programOf(profile: Profile): Program | undefined {
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
 */
export function otherProgramNote(profile: Profile, segments: readonly Segment[]): string | undefined {
  const go = programOf(profile);
  const programs = segments.flatMap(({ modules }) => modules.filter(({ isExecutable }) => isExecutable));
  if (go === undefined || programs.length === 0 || programs.some((program) => isSame(go, program))) return undefined;
  return `the Go profile is of another program or build (${go.path}) than the C side (${programs[0]?.path})`;
}
