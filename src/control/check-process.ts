/**
 * What /proc says against attaching to a process, looked at before anything is asked of it: exact words cost nothing here.
 * The addon checks again, as a process may change in between.
 */
import { commandOf, readStat, statusField } from '../collect/processes.js';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';

/** It must be a living process, and not the tool's own. @throws CgoprofError */
export function checkProcess(context: Context, pid: number): void {
  const refuse = (why: string, hint: string): CgoprofError => new CgoprofError({ what: `pid ${pid}`, why, hint });
  const stat = readStat(context.procRoot, pid);
  if (stat === undefined) throw refuse('no such process', 'In a container it has another pid there than outside.');
  const leader = Number(statusField(context.procRoot, pid, 'Tgid')?.[0] ?? pid);
  if (leader !== pid) throw refuse(`a thread of pid ${leader}`, `Give the process: ${leader}`);
  if (stat.isKernelThread) throw refuse('a thread of the kernel', "Run 'ps -ef' to find the service.");
  if (stat.state === 'Z' || stat.state === 'X') {
    throw refuse('a zombie: it has ended', `Its parent, pid ${stat.parent}, has not asked yet how.`);
  }
  if (pid === process.pid) throw refuse('cgoprof itself', 'Give the pid of a service.');
}

/** It must be one that may be stopped for a moment. @throws CgoprofError */
export function checkStoppable(context: Context, pid: number): void {
  const tracer = Number(statusField(context.procRoot, pid, 'TracerPid')?.[0] ?? 0);
  if (tracer !== 0) throw traced(context, pid, tracer);
  if (readStat(context.procRoot, pid)?.state === 'T') throw stopped(pid);
}

/** It has ended since it was looked at first. */
export function gone(pid: number): CgoprofError {
  const hint = "Run 'cgoprof ps' to see what it left behind, if anything.";
  return new CgoprofError({ what: `pid ${pid}`, why: 'no such process: it has ended', hint });
}

export function stopped(pid: number): CgoprofError {
  return new CgoprofError({
    what: `pid ${pid}`,
    why: 'stopped by a signal, so that nothing can run in it',
    hint: `Let it go on: kill -CONT ${pid}`,
  });
}

/** @param tracer 0 where it is out of our sight. */
export function traced(context: Pick<Context, 'procRoot'>, pid: number, tracer: number): CgoprofError {
  const command = tracer === 0 ? '' : commandOf(context.procRoot, tracer);
  const who = tracer === 0 ? 'a process that cannot be seen from here' : `pid ${tracer}${command && ` (${command})`}`;
  return new CgoprofError({
    what: `pid ${pid}`,
    why: `traced by ${who} already, and a process has one tracer at a time`,
    hint: 'Try again when the debugger, or strace, has let it go.',
  });
}
