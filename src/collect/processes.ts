/**
 * The processes of this machine as /proc shows them. A process is known by its pid and the clock tick at which it
 * started, as in the name of a segment, because pids are used again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { oneLine } from '../errors.js';

/** pid (innermost pid namespace) and start time: the stem of a segment's file name. */
export function processKey(pid: number, startTimeTicks: bigint): string {
  return `${pid}-${startTimeTicks}`;
}

export interface ProcessStat {
  /** One letter, proc(5): R, S, D, Z, T, X ... */
  readonly state: string;
  /** Pid of the process that started it; 0 outside our pid namespace. */
  readonly parent: number;
  readonly processGroup: number;
  /** The group in the foreground of the controlling terminal, -1 without a terminal. */
  readonly foregroundGroup: number;
  /** A thread of the kernel's own, which has no memory of its own. */
  readonly isKernelThread: boolean;
  /** Clock ticks after boot at which it started (field 22). */
  readonly startTimeTicks: bigint;
  /**
   * Where its code begins and ends and its stack begins (fields 26 to 28): differs after an exec. {@link NO_IMAGE} in a
   * process that has given its memory back and is about to end; '1 1 0' where we may not know.
   */
  readonly image: string;
}

export const NO_IMAGE = '0 0 0';

/** In field 9 of stat, as in linux/sched.h. */
const PF_KTHREAD = 0x00200000;

/**
 * Parses /proc/PID/stat, undefined when it makes no sense. The second field is the program's name in parentheses and
 * may itself hold spaces and parentheses, so fields are counted from the last one.
 */
export function parseStat(text: string): ProcessStat | undefined {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(' ');
  const [state = '', parent = '', group = '', , , foreground = '', flags = ''] = fields;
  const start = fields[19] ?? '';
  if (!/^\d+$/.test(start)) return undefined;
  return {
    state,
    parent: Number(parent),
    processGroup: Number(group),
    foregroundGroup: Number(foreground),
    isKernelThread: (Number(flags) & PF_KTHREAD) !== 0,
    startTimeTicks: BigInt(start),
    image: fields.slice(23, 26).join(' '),
  };
}

/** The stat of a process, undefined when there is none. `pid` may be 'self'. */
export function readStat(procRoot: string, pid: number | 'self'): ProcessStat | undefined {
  const text = readIfThere(join(procRoot, String(pid), 'stat'));
  return text === undefined ? undefined : parseStat(text);
}

/** The stat of a process that has not ended; a zombie has. */
export function readLivingStat(procRoot: string, pid: number): ProcessStat | undefined {
  const stat = readStat(procRoot, pid);
  return stat === undefined || stat.state === 'Z' || stat.state === 'X' ? undefined : stat;
}

/** Whether there is such a process that has not ended. */
export function isAlive(procRoot: string, pid: number): boolean {
  return readLivingStat(procRoot, pid) !== undefined;
}

/** All pids this /proc shows. */
export function listPids(procRoot: string): number[] {
  return readdirSync(procRoot)
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number);
}

/** Every living process by its {@link processKey}, with the pid under which we see it. */
export function livingProcesses(procRoot: string): Map<string, number> {
  const living = new Map<string, number>();
  for (const pid of listPids(procRoot)) {
    const key = keyOf(procRoot, pid);
    if (key !== undefined) living.set(key, pid);
  }
  return living;
}

/** The {@link processKey} of a process, as it is for itself; undefined when it has ended. */
export function keyOf(procRoot: string, pid: number): string | undefined {
  const stat = readLivingStat(procRoot, pid);
  return stat && processKey(innermostPid(procRoot, pid), stat.startTimeTicks);
}

/** The pid by which a process knows itself: the last one of NSpid in /proc/PID/status. */
function innermostPid(procRoot: string, pid: number): number {
  return Number(statusField(procRoot, pid, 'NSpid')?.at(-1) ?? pid);
}

/** The values of a line of /proc/PID/status; undefined when there is no such line. */
export function statusField(procRoot: string, pid: number | 'self', name: string): string[] | undefined {
  const status = readIfThere(join(procRoot, String(pid), 'status')) ?? '';
  const line = status.split('\n').find((line) => line.startsWith(`${name}:`));
  return line
    ?.slice(name.length + 1)
    .trim()
    .split(/\s+/);
}

/** Its executable as it sees it, or the name that it has given itself, made fit for a line. */
export function commandOf(procRoot: string, pid: number): string {
  try {
    return oneLine(readlinkSync(join(procRoot, String(pid), 'exe')).replace(/ \(deleted\)$/, ''));
  } catch {
    return oneLine(readIfThere(join(procRoot, String(pid), 'comm')) ?? '');
  }
}

/** This boot's id as a segment records it: 32 lower-case hex digits, '' when unknown. */
export function bootId(procRoot: string): string {
  return (readIfThere(join(procRoot, 'sys/kernel/random/boot_id')) ?? '').trim().replaceAll('-', '').toLowerCase();
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // The process ended, or its /proc is not ours to read: either way nothing can be said of it.
  }
}
