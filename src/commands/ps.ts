/**
 * `cgoprof ps`: lists the profiled processes, living and dead.
 */
import { findSegments } from '../collect/find-segments.js';
import { type Context, DONE, type Ending, say } from '../context.js';
import { processRow, psTable } from '../present/ps-table.js';

export interface PsOptions {
  readonly json: boolean;
}

export async function ps(context: Context, options: PsOptions): Promise<Ending> {
  const native = await context.loadNative();
  const found = findSegments(context, native, (error) => say(context, `warning: ${error.message}`));
  const rows = found.map(processRow);
  if (options.json) context.writeOut(`${JSON.stringify(rows, null, 2)}\n`);
  else if (rows.length > 0) context.writeOut(psTable(rows));
  else
    say(
      context,
      "no profiled processes; start one with 'cgoprof run -- COMMAND', or attach to one: cgoprof attach PID",
    );
  return DONE;
}
