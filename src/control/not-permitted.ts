/**
 * Why the kernel does not let us trace a process, by its rules in ptrace(2), "Ptrace access mode checking", and what to do
 * about it.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { statusField } from '../collect/processes.js';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';

/** Bit of the capability in CapEff. */
const CAP_SYS_PTRACE = 19n;

const CONTAINER_HINT =
  'Start the container with --cap-add=SYS_PTRACE, or attach from the host, or from a debug container: kubectl debug ' +
  '--target=CONTAINER --profile=general.';

/** @param command What the person wanted: `attach 4711`. */
export function notPermitted(context: Context, pid: number, command: string): CgoprofError {
  const { why, hint } = reason(context, pid, `As root: sudo cgoprof ${command}`);
  return new CgoprofError({ what: `pid ${pid}`, why, hint });
}

function reason(context: Context, pid: number, asRoot: string): { why: string; hint: string } {
  const scope = ptraceScope(context);
  if (scope === 3) {
    const why = 'the kernel lets nobody trace a process (kernel.yama.ptrace_scope is 3)';
    return { why, hint: 'Only a reboot changes that. Start the service with cgoprof run, which traces nothing.' };
  }
  if (mayTraceAll(context)) {
    const why = 'the kernel forbids it, though we have CAP_SYS_PTRACE';
    return { why, hint: 'Its user namespace is not ours, or a security module forbids it: its log says so.' };
  }
  if (context.uid === 0) return { why: 'the kernel forbids it: this root has no CAP_SYS_PTRACE', hint: CONTAINER_HINT };
  if (isOfAnother(context, pid)) return { why: 'it belongs to another user', hint: asRoot };
  if (scope === 2) {
    const why = 'the kernel lets only those with CAP_SYS_PTRACE trace a process (kernel.yama.ptrace_scope is 2)';
    return { why, hint: asRoot };
  }
  if (scope === 1) {
    const why = 'the kernel lets nobody but a parent trace it (kernel.yama.ptrace_scope is 1)';
    return { why, hint: `${asRoot}; in a container it takes --cap-add=SYS_PTRACE.` };
  }
  if (isUndumpable(context, pid)) {
    const why =
      'it is closed to its own user: it has changed its user, has capabilities, or asked for it (PR_SET_DUMPABLE)';
    return { why, hint: asRoot };
  }
  return { why: 'the kernel does not let us trace it', hint: asRoot };
}

/** Undefined where the kernel has no Yama. */
function ptraceScope({ procRoot }: Context): number | undefined {
  try {
    return Number(readFileSync(join(procRoot, 'sys/kernel/yama/ptrace_scope'), 'utf8'));
  } catch {
    return undefined;
  }
}

function mayTraceAll({ procRoot }: Context): boolean {
  const [mask = '0'] = statusField(procRoot, 'self', 'CapEff') ?? [];
  return ((BigInt(`0x${mask}`) >> CAP_SYS_PTRACE) & 1n) === 1n;
}

/** The kernel compares with its real, effective and saved ids. */
function isOfAnother({ procRoot, uid, gid }: Context, pid: number): boolean {
  const differs = (name: string, own: number): boolean =>
    (statusField(procRoot, pid, name) ?? []).slice(0, 3).some((id) => Number(id) !== own);
  return differs('Uid', uid) || differs('Gid', gid);
}

/** The kernel gives the files in /proc/PID of such a process to root, and the directory itself not. */
function isUndumpable({ procRoot, uid }: Context, pid: number): boolean {
  try {
    return statSync(join(procRoot, String(pid), 'stat')).uid !== uid;
  } catch {
    return false;
  }
}
