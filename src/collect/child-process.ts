/**
 * Starts the command of `run` and stands in front of it: what is sent to us reaches it, how it ends is how we end. It
 * shares our terminal and process group, and goes on if we are killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Ending } from '../context.js';
import { CgoprofError, systemReason } from '../errors.js';
import type { Command } from './executable.js';
import { readStat } from './processes.js';

/**
 * Signals that people, supervisors and timers send to a service. Not those that mean a fault of ours (SIGSEGV and its like)
 * or a broken pipe of ours, nor those that cannot be caught.
 */
const FORWARDED: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGABRT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGXCPU',
  'SIGPWR',
  'SIGURG',
  'SIGIO',
];

/** Signals that a terminal's keys send, and to the whole foreground process group. */
const FROM_KEYBOARD: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT', 'SIGWINCH']);

export interface RunningCommand {
  readonly pid: number;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<Ending>;
}

/** Starts it. Signals are forwarded from now until it has ended. @throws CgoprofError when it cannot be started */
export async function startCommand(
  command: Command,
  env: Readonly<Record<string, string>>,
  procRoot: string,
): Promise<RunningCommand> {
  let child: ChildProcess | undefined;
  // Before the start, so that no signal finds us without a handler and leaves the command behind.
  const stopForwarding = handleSignals((signal) => {
    if (child?.pid && !(FROM_KEYBOARD.has(signal) && keyboardReaches(child.pid, procRoot))) child.kill(signal);
  });
  try {
    const started = spawn(command.path, command.args, { argv0: command.name, env, stdio: 'inherit' });
    child = started;
    await once(started, 'spawn');
    started.on('error', () => {}); // A signal that we may not send: the command has become another user's.
    const ended = new Promise<Ending>((resolve) => {
      started.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 0 } : { signal }));
    });
    return { pid: started.pid as number, ended: ended.finally(stopForwarding) };
  } catch (error) {
    stopForwarding();
    throw new CgoprofError({ what: `run: ${command.name}`, why: systemReason(error), cause: error });
  }
}

function handleSignals(handler: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of FORWARDED) process.on(signal, handler);
  return () => {
    for (const signal of FORWARDED) process.off(signal, handler);
  };
}

/**
 * Whether the terminal has sent the signal to the command as well: both of us are in its foreground group. Sent twice, a
 * Ctrl-C would mean "at once" to many services. Who sends SIGINT to our pid alone while we hold a terminal is taken for
 * the keyboard too: Node does not tell the sender.
 */
function keyboardReaches(pid: number, procRoot: string): boolean {
  const own = readStat(procRoot, 'self');
  const command = readStat(procRoot, pid);
  return own !== undefined && own.foregroundGroup === own.processGroup && command?.processGroup === own.processGroup;
}
