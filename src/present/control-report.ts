/** What `attach` and `detach` have done: a line or two for people, and JSON for machines. */
import type { Attached } from '../control/attach-process.js';
import type { Detached } from '../control/detach-process.js';
import type { AttachResult } from '../native-binding.js';
import { formatNanos } from './units.js';

/** From when on it is worth a word how long the allocator counted. */
const LONG_ACCOUNT_NS = 20e6;

/** How much a thread allocates before it looks whether it is to record (native/preload/recorder.h, kRecheckBytes). */
const RECHECK = '16 MiB';

export function attachedLines(pid: number, command: string, { how, recording, injected }: Attached): string[] {
  const what = named(pid, command);
  const done: Record<Attached['how'], string> = {
    injected: `attached to ${what}${stoppedFor(injected)}`,
    resumed: `${what} is recorded again`,
    asked: `${what} is recorded now`,
    already: `${what} is recorded already`,
  };
  const later = `${what} will be recorded once one of its threads has allocated another ${RECHECK}: it looks for the request then`;
  const next = `${recording ? 'look at it' : 'look at it then'}: cgoprof heap ${pid} --go http://HOST:PORT -o merged.pb.gz; end it: cgoprof detach ${pid}`;
  return [recording ? done[how] : later, ...accountLine(injected), next];
}

export function detachedLines(pid: number, command: string, { how, segment, injected }: Detached): string[] {
  const what = named(pid, command);
  const done: Record<Detached['how'], string> = {
    injected: `detached from ${what}${stoppedFor(injected)}`,
    asked: `${what} is not recorded any more; the hooks stay in, as the library was preloaded`,
    withdrawn: `${what} is not recorded, and will not be: it had not seen the request yet`,
    already: `${what} is not recorded anyway`,
  };
  return segment === '' ? [done[how]] : [done[how], `what was recorded stays: cgoprof heap ${pid} -o FILE`];
}

/** One JSON object and a line feed. Numbers are 0 where no thread had to be stopped. */
export function controlJson(pid: number, command: string, outcome: Attached | Detached): string {
  const { injected, segment, ...rest } = outcome;
  const { stoppedNs = 0, threadId = 0, attempts = 0, patched = 0, accountNs = 0 } = injected ?? {};
  const figures = { stoppedNs, threadId, attempts, patched, accountNs };
  return `${JSON.stringify({ pid, command, segment, ...rest, ...figures }, null, 2)}\n`;
}

function named(pid: number, command: string): string {
  return command === '' ? `pid ${pid}` : `pid ${pid} (${command})`;
}

/** The stop is not all that a service may notice. */
function accountLine(result: AttachResult | undefined): string[] {
  const { accountNs = 0 } = result ?? {};
  if (accountNs < LONG_ACCOUNT_NS) return [];
  const held = `its allocator held its locks for ${formatNanos(accountNs)} to count what is in use`;
  return [`${held}; --skip-account spares a process that`];
}

function stoppedFor(result: AttachResult | undefined): string {
  if (result === undefined) return '';
  const { stoppedNs, attempts } = result;
  const others = attempts > 0 ? `; ${attempts} more for a look` : '';
  return `: one thread was stopped for ${formatNanos(stoppedNs)}${others}`;
}
