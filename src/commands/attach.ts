/**
 * `cgoprof attach PID`: switches recording on in a process that is already running.
 */
import { commandOf } from '../collect/processes.js';
import { type Context, DONE, type Ending, say } from '../context.js';
import { attachProcess } from '../control/attach-process.js';
import { attachedLines, controlJson } from '../present/control-report.js';

export interface AttachOptions {
  /** Mean bytes between samples; undefined: the default, or what its segment has. */
  readonly rate?: number | undefined;
  readonly trustSeccomp: boolean;
  /** Leave the allocator alone: it may take long to count what is in use. */
  readonly skipAccount: boolean;
  readonly json: boolean;
}

export async function attach(context: Context, pid: number, options: AttachOptions): Promise<Ending> {
  const native = await context.loadNative();
  const command = commandOf(context.procRoot, pid);
  const attached = await attachProcess(context, native, pid, options);
  for (const line of attachedLines(pid, command, attached)) say(context, line);
  if (options.json) context.writeOut(controlJson(pid, command, attached));
  return DONE;
}
