/**
 * Programs that start the service rather than being it. `run` profiles a non-Go executable that it is given directly,
 * except these: through them profiling must pass on to the Go program behind.
 */

export interface Wrapper {
  readonly names: readonly string[];
  readonly why: string;
}

/** They hand their environment on to what they start. */
export const WRAPPERS: readonly Wrapper[] = [
  { names: ['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh', 'mksh', 'fish', 'busybox'], why: 'shells' },
  { names: ['env', 'direnv', 'dotenv', 'envdir'], why: 'set the environment' },
  { names: ['tini', 'tini-static', 'dumb-init', 'catatonit', 'docker-init', 's6-svscan'], why: 'init of a container' },
  { names: ['gosu', 'su-exec', 'setpriv', 'runuser', 'su', 'chpst', 'setuidgid'], why: 'change the user' },
  {
    names: ['nice', 'ionice', 'chrt', 'taskset', 'numactl', 'cpulimit', 'prlimit', 'softlimit'],
    why: 'set priorities and limits',
  },
  {
    names: ['nohup', 'setsid', 'stdbuf', 'unbuffer', 'script', 'setarch', 'linux64'],
    why: 'change terminal, output or personality',
  },
  {
    names: ['timeout', 'time', 'watch', 'flock', 'xargs', 'parallel', 'find', 'make', 'entr'],
    why: 'run a command on some condition',
  },
  {
    names: ['unshare', 'nsenter', 'chroot', 'bwrap', 'firejail', 'faketime'],
    why: 'change what it sees of the system',
  },
  { names: ['strace', 'ltrace', 'gdb', 'perf', 'rr'], why: 'look at it' },
];

/** They do not hand LD_PRELOAD on, so nothing behind them can be profiled from here. */
export const BARRIERS: readonly Wrapper[] = [
  { names: ['sudo', 'sudoedit', 'doas', 'pkexec'], why: 'it clears LD_PRELOAD from the environment' },
  {
    names: ['docker', 'podman', 'nerdctl', 'kubectl', 'crictl'],
    why: 'it asks a daemon to start the command elsewhere',
  },
  { names: ['ssh', 'mosh'], why: 'it starts the command on another machine' },
  { names: ['systemd-run', 'systemctl'], why: 'it asks systemd to start the command, with systemd’s environment' },
];

/** The entry for an executable, found by its name or by the name behind its symbolic links. */
export function findWrapper(table: readonly Wrapper[], baseNames: readonly string[]): Wrapper | undefined {
  return table.find(({ names }) => baseNames.some((name) => names.includes(name)));
}
