/** Profiles as Go's own programs read them: google/pprof (through test/targets/profilecheck) and `go tool pprof`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { expect } from 'vitest';
import { buildTarget } from '../../scripts/build-targets.mjs';
import { findGo } from '../../scripts/lib/go.mjs';

/** What profilecheck prints. */
export interface CheckedProfile {
  readonly SampleTypes: string[];
  readonly DefaultSampleType: string;
  readonly PeriodType: string;
  readonly Period: string;
  readonly Comments: string[];
  readonly Mappings: { File: string; HasFunctions: boolean }[];
  readonly Samples: CheckedSample[];
}
export interface CheckedSample {
  readonly Values: string[];
  readonly Labels: Record<string, string[]> | null;
  readonly NumLabels: Record<string, string[]>;
  readonly Stack: {
    ID: number;
    Address: string;
    Mapping: string;
    Lines: { FunctionID: number; Name: string; File: string; Line: number; StartLine: number }[];
  }[];
}

/** What both readers tell of a sample. */
export interface PprofSample {
  /** In the order of the profile's sample types. */
  readonly values: readonly number[];
  /** Leaf first. */
  readonly stack: readonly PprofLocation[];
}
export interface PprofLocation {
  /** Path of the binary; '' for none. */
  readonly mapping: string;
  /** Innermost inlined function first. */
  readonly lines: readonly PprofLine[];
}
export interface PprofLine {
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

/** Parses files and checks them with CheckValid; several are merged. @throws when google/pprof does not accept one */
export function check(...files: string[]): CheckedProfile {
  const options = { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: 'pipe' } as const;
  return JSON.parse(execFileSync(buildTarget('profilecheck'), files, options)) as CheckedProfile;
}

/** The samples of a file, read by google/pprof. */
export function checkedSamples(file: string): PprofSample[] {
  return check(file).Samples.map(({ Values, Stack }) => ({
    values: Values.map(Number),
    stack: Stack.map(({ Mapping, Lines }) => ({
      mapping: Mapping,
      lines: Lines.map(({ Name, File, Line }) => ({ name: Name, file: File, line: Line })),
    })),
  }));
}

/** Runs `go tool pprof`. It must find nothing to complain of: neither to symbolize, nor to fetch. */
export function pprof(...args: string[]): string {
  const env = { ...process.env, PPROF_TMPDIR: tmpdir(), PPROF_BINARY_PATH: '/nonexistent' };
  const options = { encoding: 'utf8', env, maxBuffer: 2 ** 28 } as const;
  const { status, stdout, stderr } = spawnSync(findGo(), ['tool', 'pprof', ...args], options);
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout;
}

const EVERYTHING = ['-unit=B', '-nodecount=100000', '-nodefraction=0', '-edgefraction=0'];

/** Rows of `-top`, in its order: flat and cumulative bytes per node; without its mark for inlined functions. */
export function topRows(...args: string[]): { name: string; flat: number; cum: number }[] {
  const text = pprof('-top', ...EVERYTHING, ...args);
  const rows = [...text.matchAll(/^\s*(-?\d+)B?\s+\S+%\s+\S+%\s+(-?\d+)B?\s+\S+%\s+(.+)$/gm)];
  return rows.map(([, flat, cum, name = '']) => ({
    name: name.replace(/ \((partial-)?inline\)$/, ''),
    flat: Number(flat),
    cum: Number(cum),
  }));
}

/** The same per name. */
export function top(...args: string[]): Map<string, readonly [flat: number, cum: number]> {
  return new Map(topRows(...args).map(({ name, flat, cum }) => [name, [flat, cum]]));
}

/** `-list` of functions: per name the source file, and flat and cumulative bytes per line of it. */
export function list(names: readonly string[], ...args: string[]) {
  const pattern = names.map((name) => name.replace(/[.*()]/g, '\\$&')).join('|');
  const [, ...routines] = pprof('-unit=B', `-list=^(${pattern})$`, ...args).split(/^ROUTINE =+ /m);
  const bytes = (cell = '') => (cell === '.' ? 0 : Number(cell.replace(/B$/, '')));
  return new Map(
    routines.map((text) => {
      const [, name = '', file = ''] = /^(.+) in (.+)$/m.exec(text) ?? [];
      const rows = [...text.matchAll(/^\s*(\.|\d+B?)\s+(\.|\d+B?)\s+(\d+):/gm)];
      const lines = new Map(rows.map(([, flat, cum, line]) => [Number(line), [bytes(flat), bytes(cum)]]));
      return [name, { file, lines }];
    }),
  );
}

/** Locations of `-raw`, by id. A row without an id goes on with the location before it. */
function rawLocations(rows: readonly string[], mappings: ReadonlyMap<string, string>): Map<string, PprofLocation> {
  const locations = new Map<string, PprofLocation>();
  let lines: PprofLine[] = [];
  for (const row of rows) {
    const [, id, mapping = '', rest = ''] = /^ *(?:(\d+): 0x[0-9a-f]+ (?:M=(\d+) )?)?(.*)$/.exec(row) ?? [];
    if (id !== undefined) {
      lines = [];
      locations.set(id, { mapping: mappings.get(mapping) ?? '', lines });
    }
    const [, name = '', file = '', line] = /^(.+) (\S*?):(\d+)(?::\d+)? s=\d+(?:\(.*\))?$/.exec(rest) ?? [];
    if (line === undefined) throw new Error(`not understood: ${row}`);
    lines.push({ name, file, line: Number(line) });
  }
  return locations;
}

/** The samples of a file, read back from what `go tool pprof -raw` prints with the flags given, such as `-base=FILE`. */
export function rawSamples(file: string, ...flags: readonly string[]): PprofSample[] {
  const [, samples = '', locationRows = '', mappingRows = ''] =
    /\nSamples:\n(.*)\nLocations\n(.*)\nMappings\n(.*)$/s.exec(pprof('-raw', ...flags, file)) ?? [];
  const mappings = new Map(
    [...mappingRows.matchAll(/^(\d+): \S+ (\S*) /gm)].map(([, id = '', path = '']) => [id, path]),
  );
  const locations = rawLocations(locationRows.split('\n'), mappings);
  const rows = [...samples.matchAll(/^ +(-?\d+(?: +-?\d+)*): ((?:\d+ )+)$/gm)];
  return rows.map(([, values = '', ids = '']) => ({
    values: values.split(/ +/).map(Number),
    stack: ids
      .trim()
      .split(' ')
      .map((id) => locations.get(id) ?? { mapping: '', lines: [] }),
  }));
}
