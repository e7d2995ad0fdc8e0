/** What a process looks like from outside: what profiling must leave as it was, or give back. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Outside {
  /**
   * Rights of what is mapped of files, but for what cgoprof maps, and of what else is executable: ranges, as long as they
   * can be. (The kernel has two where a page in between was written to.)
   */
  readonly mappings: readonly string[];
  readonly descriptors: readonly string[];
  readonly threads: readonly string[];
}

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly rights: string;
  readonly offset: number;
  readonly name: string;
}

function parseMapping(line: string): Mapping {
  const [, start = '', end = '', rights = '', offset = '', name = ''] =
    /^(\w+)-(\w+) (\S+) (\w+) \S+ \d+ *(.*)$/.exec(line) ?? [];
  const [from, to, at] = [start, end, offset].map((digits) => Number.parseInt(digits, 16)) as [number, number, number];
  return { start: from, end: to, rights, offset: at, name };
}

function isContinued(a: Mapping, b: Mapping): boolean {
  const isOneFile = a.name === b.name && (!a.name.startsWith('/') || b.offset - a.offset === b.start - a.start);
  return isOneFile && a.end === b.start && a.rights === b.rights;
}

function joined(mappings: readonly Mapping[]): Mapping[] {
  const ranges: Mapping[] = [];
  for (const mapping of mappings) {
    const last = ranges.at(-1);
    if (last !== undefined && isContinued(last, mapping)) ranges[ranges.length - 1] = { ...last, end: mapping.end };
    else ranges.push(mapping);
  }
  return ranges;
}

/** What can be seen of a process that profiling must leave as it was. */
export function outsideOf(pid: number): Outside {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n');
  const isOurs = ({ name }: Mapping) => /libcgoprof\.so|\.seg( \(deleted\))?$/.test(name);
  const counts = ({ name, rights }: Mapping) => name.startsWith('/') || rights.includes('x');
  const mappings = joined(lines.map(parseMapping).filter((mapping) => counts(mapping) && !isOurs(mapping)));
  const hex = (value: number) => value.toString(16);
  const descriptors = readdirSync(`/proc/${pid}/fd`);
  return {
    mappings: mappings.map(({ start, end, rights, name }) => `${hex(start)}-${hex(end)} ${rights} ${name}`),
    descriptors: descriptors.map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`).sort(),
    threads: threadNames(pid).sort(),
  };
}

function threadNames(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      return [`${thread} ${readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim()}`];
    } catch {
      return []; // It has ended.
    }
  });
}

/** How often the library is loaded into a process that was attached to. */
export function copiesOfLibrary(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/(\d+) +\/memfd:libcgoprof\.so/g);
  return new Set([...mappings].map(([, inode]) => inode)).size;
}

/** Waits until the thread that the library had in a process has ended. */
export async function untilAlone(pid: number): Promise<void> {
  while (threadNames(pid).some((name) => name.endsWith(' cgoprof'))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
