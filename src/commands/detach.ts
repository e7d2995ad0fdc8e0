/**
 * `cgoprof detach PID`: switches recording off in a running process, and leaves it as bare as can be.
 */
import { commandOf } from '../collect/processes.js';
import { type Context, DONE, type Ending, say } from '../context.js';
import { detachProcess } from '../control/detach-process.js';
import { controlJson, detachedLines } from '../present/control-report.js';

export interface DetachOptions {
  readonly trustSeccomp: boolean;
  readonly json: boolean;
}

export async function detach(context: Context, pid: number, options: DetachOptions): Promise<Ending> {
  const native = await context.loadNative();
  const command = commandOf(context.procRoot, pid);
  const detached = await detachProcess(context, native, pid, options);
  for (const line of detachedLines(pid, command, detached)) say(context, line);
  if (options.json) context.writeOut(controlJson(pid, command, detached));
  return DONE;
}
