#!/usr/bin/env node
/**
 * The command line: commands and flags as data, and the only file that prints or exits.
 */
import { realpathSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import { type Context, DONE, type Ending } from './context.js';
import { CgoprofError, EXIT_FAILED, EXIT_USAGE, errorCode, usageError } from './errors.js';
import { DEFAULT_RATE, parseInterval, parseListen, parsePid, parseProfileChoice, parseRate } from './flag-values.js';
import type { NativeBinding } from './native-binding.js';
import { reportError } from './present/error-lines.js';
import { version } from './version.js';

interface CommandSpec {
  /** Name and arguments in commander's notation. */
  readonly usage: string;
  readonly summary: string;
  /** Of the argument, where it is not taken as it is. */
  readonly parseArgument?: (text: string) => unknown;
  readonly options: () => Option[];
  readonly examples: readonly string[];
  /** Commands are loaded when they are run, so that help needs nothing of them. */
  readonly run: (context: Context, argument: never, options: never) => Promise<Ending>;
}

/** A flag's parser for commander, whose errors become usage errors. */
function parsedBy<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

const rate = (): Option =>
  new Option('--rate <bytes>', 'mean bytes between samples; 1 records every allocation')
    .argParser(parsedBy(parseRate))
    .default(DEFAULT_RATE, '512KiB')
    .env('CGOPROF_RATE');
/** Without a default: a rate that was not given is no wish to change one. */
const attachRate = (): Option =>
  new Option('--rate <bytes>', 'mean bytes between samples (default: 512KiB, or as before)')
    .argParser(parsedBy(parseRate))
    .env('CGOPROF_RATE');
const trustSeccomp = (): Option =>
  new Option(
    '--trust-seccomp',
    'go on where a seccomp filter cannot be read: it answers with errors, as Docker’s and Kubernetes’ do',
  ).default(false);
const skipAccount = (): Option =>
  new Option(
    '--skip-account',
    'do not ask the allocator what is in use: in a large, fragmented heap it holds its locks for long to count that',
  ).default(false);
const machineReadable = (): Option => new Option('--json', 'for machines').default(false);
const profile = (help: string): Option =>
  new Option('--profile <which>', `processes to profile: go, all, or the base name of an executable ${help}`)
    .argParser(parsedBy(parseProfileChoice))
    .env('CGOPROF_PROFILE');
const follow = (): Option => new Option('--follow', 'profile the children of profiled processes too').default(false);
const output = (help: string): Option => new Option('-o, --output <file>', help);
const go = (): Option => new Option('--go <source>', 'Go heap profile: URL of the service, file, or none');
const tokenFile = (): Option =>
  new Option('--token-file <file>', 'ask clients for the token in this file: as password, or as bearer token');
const allowHost = (): Option =>
  new Option('--allow-host <name>', 'a name by which clients without a token may ask, beside its own; repeatable')
    .argParser((name: string, names: readonly string[] = []) => [...names, name])
    .default([], 'none');
const showPlumbing = (): Option =>
  new Option('--show-plumbing', 'keep the frames that cgo puts between Go and C').default(false);

/** Where `serve` and `run --serve` listen. */
const DEFAULT_ADDRESS = '127.0.0.1:6061';

const COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'run <command...>',
    summary: 'start a command under the profiler',
    options: () => [
      rate(),
      output('write the merged profile when the command has ended, however it ends'),
      go(),
      new Option('--go-interval <duration>', 'how often to fetch it while the command runs')
        .argParser(parsedBy(parseInterval))
        .default(10_000, '10s'),
      profile('(default: what fits the command)'),
      follow(),
      new Option(
        '--serve [address]',
        'serve the merged profile while the command runs, as cgoprof serve does, at 127.0.0.1:6061 or elsewhere; ' +
          'standard error says where, with port 0 which one was free',
      )
        .argParser(parsedBy(parseListen))
        .preset(DEFAULT_ADDRESS),
      tokenFile(),
      allowHost(),
      showPlumbing(),
    ],
    examples: [
      'cgoprof run -- ./server',
      'cgoprof run --go http://127.0.0.1:6060 -o merged.pb.gz -- ./server -port 8080',
      'cgoprof run --serve --go http://127.0.0.1:6060 -- ./server -port 8080',
    ],
    run: async (...args) => (await import('./commands/run.js')).run(...args),
  },
  {
    usage: 'attach <pid>',
    summary: 'switch profiling on in a running process',
    parseArgument: parsePid,
    options: () => [attachRate(), skipAccount(), trustSeccomp(), machineReadable()],
    examples: ['cgoprof attach 4711', 'cgoprof attach 4711 --rate 1 --json'],
    run: async (...args) => (await import('./commands/attach.js')).attach(...args),
  },
  {
    usage: 'detach <pid>',
    summary: 'switch profiling off in a running process',
    parseArgument: parsePid,
    options: () => [trustSeccomp(), machineReadable()],
    examples: ['cgoprof detach 4711'],
    run: async (...args) => (await import('./commands/detach.js')).detach(...args),
  },
  {
    usage: 'heap <target>',
    summary: 'write the merged profile of a process: a pid, or a segment file',
    options: () => [
      output('file, or - for standard output (default: cgoprof.PID.heap.pb.gz)'),
      go(),
      new Option('--gc', 'let the Go side collect first').default(false),
      showPlumbing(),
      new Option(
        '--json',
        'print estimates per source line, with their standard errors; a profile only with -o',
      ).default(false),
    ],
    examples: [
      'cgoprof heap 4711 --go http://127.0.0.1:6060 -o merged.pb.gz',
      'go tool pprof merged.pb.gz',
      'cgoprof heap 4711 --json >estimates.json',
    ],
    run: async (...args) => (await import('./commands/heap.js')).heap(...args),
  },
  {
    usage: 'serve <targets...>',
    summary:
      'serve merged profiles as net/http/pprof does: of pids, segment files, and programs by name or command line',
    options: () => [
      new Option('--listen <address>', 'where to listen')
        .argParser(parsedBy(parseListen))
        .default(parseListen(DEFAULT_ADDRESS), DEFAULT_ADDRESS),
      new Option('--go <url>', 'the service’s own net/http/pprof; with several targets NAME=URL; repeatable')
        .argParser((url: string, urls: readonly string[] = []) => [...urls, url])
        .default([], 'none'),
      tokenFile(),
      allowHost(),
      showPlumbing(),
    ],
    examples: [
      'cgoprof serve 4711 --go http://127.0.0.1:6060',
      'go tool pprof http://127.0.0.1:6061/debug/pprof/heap',
      "cgoprof serve api worker='*/worker -queue mail*' --go api=http://127.0.0.1:6060",
      'go tool pprof http://127.0.0.1:6061/p/worker/debug/pprof/heap',
    ],
    run: async (...args) => (await import('./commands/serve.js')).serve(...args),
  },
  {
    usage: 'merge <inputs...>',
    summary: 'merge files: any pprof heap profiles and segments',
    options: () => [output('file, or - for standard output'), showPlumbing()],
    examples: ['cgoprof merge heap.pb.gz /dev/shm/cgoprof-1000/4711-123456.seg -o merged.pb.gz'],
    run: async (...args) => (await import('./commands/merge.js')).merge(...args),
  },
  {
    usage: 'ps',
    summary: 'list profiled processes, living and dead',
    options: () => [machineReadable()],
    examples: ['cgoprof ps --json'],
    run: async (context, options) => (await import('./commands/ps.js')).ps(context, options),
  },
  {
    usage: 'env',
    summary: 'print the environment that a Dockerfile or a unit file needs',
    options: () => [rate(), profile('').default('go'), follow()],
    examples: ['cgoprof env >server.env', 'env $(cgoprof env --rate 1MiB) ./server'],
    run: async (context, options) => (await import('./commands/env.js')).env(context, options),
  },
];

/** Runs a command line, without the program's name. @throws CgoprofError */
export async function runCommandLine(context: Context, args: readonly string[]): Promise<Ending> {
  let ending = DONE;
  const program = newProgram(context);
  for (const spec of COMMANDS) {
    addCommand(program, spec, async (...given) => {
      // The command itself comes last, after arguments and options.
      ending = await spec.run(context, ...(given.slice(0, -1) as [never, never]));
    });
  }
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return { code: EXIT_USAGE };
  }
  try {
    await program.parseAsync(endServe(program, args), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return DONE;
    if (error.code === 'commander.help') return { code: EXIT_USAGE }; // `help nosuch`: it got the whole help.
    throw usageError('', error.message.replace(/^error: /, ''));
  }
  return ending;
}

/**
 * `run --serve COMMAND`: what follows --serve and is no address is the command, and no flag of ours comes after. Commander
 * takes whatever follows for the address.
 */
function endServe(program: Command, args: readonly string[]): string[] {
  const options = program.commands.find((command) => command.name() === args[0] && args[0] === 'run')?.options ?? [];
  for (let at = 1; at < args.length && args[at]?.startsWith('-') && args[at] !== '--'; at++) {
    const option = options.find(({ short, long }) => args[at] === short || args[at] === long);
    const next = args[at + 1] ?? '-';
    if (option?.optional && !next.startsWith('-') && !isAddress(next)) {
      return [...args.slice(0, at + 1), '--', ...args.slice(at + 1)];
    }
    if (option?.required || (option?.optional && !next.startsWith('-'))) at++;
  }
  return [...args];
}

function isAddress(text: string): boolean {
  try {
    return parseListen(text) !== undefined;
  } catch {
    return false;
  }
}

const HELP_WIDTH = 100;
const QUICK_START = `
Start a service or take one that runs, look at it, read the profile:
  cgoprof run -- ./server          or: cgoprof attach PID
  cgoprof heap PID --go http://127.0.0.1:6060 -o merged.pb.gz
  go tool pprof merged.pb.gz`;

/** Commander neither prints nor exits by itself, nor touches process.stdout and process.stderr: see {@link writeAll}. */
function newProgram(context: Context): Command {
  const help = new Help();
  return new Command('cgoprof')
    .description('Shows where a cgo service holds its memory: C lines and Go lines in one pprof profile.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', QUICK_START)
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ optionDescription: (option) => help.optionDescription(option).replace(' (default: false)', '') })
    .configureOutput({
      writeOut: context.writeOut,
      writeErr: context.writeErr,
      outputError: () => {}, // runCommandLine throws it.
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

function addCommand(program: Command, spec: CommandSpec, action: (...given: unknown[]) => Promise<void>): void {
  const command = program.command(spec.usage).description(spec.summary).helpOption('-h, --help', 'print this help');
  for (const option of spec.options()) command.addOption(option);
  if (spec.parseArgument) command.registeredArguments[0]?.argParser(parsedBy(spec.parseArgument));
  command.addHelpText('after', `\nExamples:\n${spec.examples.map((line) => `  ${line}`).join('\n')}`);
  // What follows the name of the command to run is its own, also without `--` before it.
  command.passThroughOptions(spec.usage.startsWith('run '));
  command.action(action);
}

/** The world as it is. */
export function systemContext(): Context {
  return {
    env: process.env,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    machine: process.arch === 'arm64' ? 'arm64' : 'amd64',
    procRoot: '/proc',
    shmRoot: '/dev/shm',
    libraryPath: fileURLToPath(new URL('../out/native/lib/libcgoprof.so', import.meta.url)),
    stdoutIsTerminal: isatty(1),
    stderrIsTerminal: isatty(2),
    loadNative,
    writeOut: (data) => writeAll(1, data),
    writeErr: (text) => {
      try {
        writeAll(2, text);
      } catch {
        // Nobody listens. What a command does, it does all the same.
      }
    },
  };
}

async function loadNative(): Promise<NativeBinding> {
  try {
    return (await import('./native-binding.js')).native;
  } catch (error) {
    throw addonMissing(error);
  }
}

export function addonMissing(error: unknown): CgoprofError {
  const what = 'cgoprof.node';
  if (errorCode(error) === 'MODULE_NOT_FOUND') {
    const hint = 'Run npm run build in the cgoprof directory.';
    return new CgoprofError({ what, why: 'the addon is not built', hint, cause: error });
  }
  const [reason = ''] = (error as Error).message.split('\n');
  const hint = 'Are libdw and libelf installed? Run npm run build in the cgoprof directory.';
  return new CgoprofError({ what, why: `the addon cannot be loaded: ${reason}`, hint, cause: error });
}

/**
 * Writes to the descriptor itself. Node's own streams would make a pipe non-blocking, for the command under `run` as
 * well, which shares it and may not be prepared for that.
 */
export function writeAll(fd: number, data: string | Uint8Array): void {
  let rest: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10); // Somebody else made it non-blocking.
    }
  }
}

/** Signals whose default action ends a process without a core file, which would be ours and tell nothing. */
const RERAISED: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>(['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGTERM']);

/** What a shell shows for a process that a signal ended. */
const SIGNAL_EXIT = 128;

/** Ends this process; by its child's signal, so that whoever waits for it sees what happened. */
export function end(ending: Ending): never {
  if ('code' in ending) process.exit(ending.code);
  if (RERAISED.has(ending.signal)) process.kill(process.pid, ending.signal);
  // Still here: another kind of signal, or we are a container's pid 1, which the kernel protects.
  process.exit(SIGNAL_EXIT + constants.signals[ending.signal]);
}

/** Prints an error and ends. A reader of our output that went away, as in `cgoprof ps | head`, is none. */
export function fail(context: Context, error: unknown): never {
  if (errorCode(error) === 'EPIPE') process.exit(EXIT_FAILED);
  const report = reportError(error, context.env);
  context.writeErr(report.text);
  process.exit(report.exitCode);
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const context = systemContext();
  process.on('uncaughtException', (error) => fail(context, error));
  runCommandLine(context, process.argv.slice(2)).then(end, (error) => fail(context, error));
}
