/**
 * What `serve` says of its targets before it listens: one line each, so that a typing error is seen at once.
 */
import { currentOf } from '../collect/followed-target.js';
import { NoProcessYet } from '../collect/target-sources.js';
import { type Context, say } from '../context.js';
import { oneLine } from '../errors.js';
import { processRow } from '../present/ps-table.js';
import type { ServedTarget } from '../serve/served-target.js';

type Said = Pick<ServedTarget, 'name' | 'current' | 'upstream'>;

/**
 * Who stands for a target and where its Go side comes from, or what it waits for and a hint.
 *
 * @param go What --go says of it.
 * @throws CgoprofError where nothing will ever come
 */
export function sayWhatIsServed(context: Context, target: Said, go: string | undefined): void {
  const goSide = target.upstream === undefined ? cAlone(go) : `Go side: ${target.upstream.name}`;
  try {
    const { found, livePid } = target.current();
    const { pid, state, command } = processRow({ ...found, livePid });
    say(context, `${target.name}: pid ${pid}, ${oneLine(command)}, ${state}; ${goSide}`);
  } catch (error) {
    if (!(error instanceof NoProcessYet)) throw error;
    say(context, `${target.name}: waiting for a process: ${error.message}\n  ${error.hint}\n  ${goSide}`);
  }
}

/** That there is no Go side, one clause. @param go What --go says. */
export function cAlone(go: string | undefined): string {
  return `C side only: ${go === undefined ? 'no --go' : `--go ${go}`}`;
}

/** Under two names a process is asked twice for the same. */
export function saySameProcesses(context: Context, targets: readonly Said[]): void {
  const known = new Map<string, string>();
  for (const target of targets) {
    const now = currentOf(target);
    if (now === undefined) continue;
    const { livePid, header } = now.found;
    const key = `${header.pid} ${header.createdUnixNs}`;
    const other = known.get(key);
    if (other !== undefined) {
      say(context, `warning: ${target.name} is the same process as ${other}, pid ${livePid ?? header.pid}`);
    }
    known.set(key, other ?? target.name);
  }
}
