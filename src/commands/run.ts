/**
 * `cgoprof run -- COMMAND`: starts a command with the library preloaded, ends as it ends, with --serve serves its profile
 * meanwhile, and with -o writes the merged profile of what it held at its end.
 */
import { basename } from 'node:path';
import { startCommand } from '../collect/child-process.js';
import { chooseProfile, resolveCommand } from '../collect/executable.js';
import type { FoundSegment } from '../collect/find-segments.js';
import { type GoSource, parseGoSource } from '../collect/go-heap.js';
import { runEnvironment } from '../collect/preload-environment.js';
import { findRunSegments, newRunId, removeSpent } from '../collect/run-segments.js';
import { startFailure } from '../collect/start-failure.js';
import { nameOf } from '../collect/target-name.js';
import { withScheme } from '../collect/upstream.js';
import type { FailedProcess } from '../collect/watch-failures.js';
import { RunWatch } from '../collect/watch-run.js';
import { type Context, type Ending, say } from '../context.js';
import { type CgoprofError, EXIT_FAILED, usageError } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { checkOutput, STDOUT } from '../present/output.js';
import type { ListenAddress } from '../serve/listen.js';
import { watchGoSide } from './run-go-side.js';
import { writeRunOutput } from './run-output.js';
import type { RunServing } from './run-serve.js';

export interface RunOptions {
  /** Mean bytes between samples. */
  readonly rate: number;
  /** File for the merged profile; none: nothing is written at the end. */
  readonly output?: string | undefined;
  /** URL, file or none. */
  readonly go?: string | undefined;
  /** Milliseconds. */
  readonly goInterval: number;
  /** Where to listen while the command runs; undefined: nowhere. */
  readonly serve?: ListenAddress | undefined;
  /** Of the server. */
  readonly allowHost?: readonly string[];
  readonly tokenFile?: string | undefined;
  /** go, all or a base name; default: what fits the command. */
  readonly profile?: string | undefined;
  readonly follow: boolean;
  readonly showPlumbing: boolean;
}

export async function run(context: Context, commandLine: readonly string[], options: RunOptions): Promise<Ending> {
  const source = checkOptions(context, options);
  const native = await context.loadNative();
  const [name = '', ...args] = commandLine;
  const what = `run: ${name}`;
  const command = resolveCommand(context, name, args);
  const profile = chooseProfile(context, native, command, { wish: options.profile, follow: options.follow });
  const runId = newRunId();
  const { output, rate, follow, showPlumbing } = options;
  const env = runEnvironment(context, { rate, profile, follow, runId, keep: output !== undefined });

  const watch = new RunWatch(context, native, runId);
  const failuresNow = () => groupFailures(watch.failed);
  // Before the command: it does not start where it could not be served.
  const stopServing = await serveIfAsked(context, native, options, { runId, name, failures: failuresNow });
  const running = await startCommand(command, env, context.procRoot);
  const goSide = watchGoSide(output === undefined ? { kind: 'none' } : source, options.goInterval);
  watch.start();
  const ending = await running.ended;
  stopServing();
  const endedAt = new Date();
  const go = await goSide.finish();
  watch.stop();
  const segments = findRunSegments(context, native, runId);

  const executed = segments.filter((segment) => watch.hasExecuted(segment)).map(({ header }) => header.pid);
  const failures = failuresNow();
  const notes = [
    ...executedNote(executed, follow),
    ...failures.map(({ message }) => message),
    ...(output === undefined ? [] : removedNote(watch, segments)),
  ];
  for (const note of notes) say(context, note);
  const end = { what, profile, endedAt, segments, failures, go, notes, showPlumbing };
  const done = output === undefined || (await writeRunOutput(context, native, { ...end, output }));
  const kept = removeSpent(segments, ending, done && context.env.CGOPROF_KEEP !== '1');
  sayKept(context, what, ending, kept);
  return !done && 'code' in ending && ending.code === 0 ? { code: EXIT_FAILED } : ending;
}

function checkOptions(context: Context, options: RunOptions): GoSource {
  const { output, go, serve } = options;
  const source = parseGoSource(go ?? 'none', { gc: false });
  checkServing(options, source);
  if (output === undefined) {
    if (source.kind !== 'none' && serve === undefined) {
      throw usageError('run: --go', 'needs -o FILE, the profile that it goes into, or --serve');
    }
    return source;
  }
  if (output === STDOUT) throw usageError('run: -o -', 'standard output is the command’s', 'Give a file: -o FILE.');
  checkOutput(context, output);
  return source;
}

function checkServing({ serve, tokenFile, allowHost = [] }: RunOptions, source: GoSource): void {
  if (serve !== undefined) {
    if (source.kind !== 'file') return;
    const why = 'not a URL: with --serve a service is asked again and again';
    throw usageError(`run: --go ${source.path}`, why, withScheme(source.path));
  }
  if (tokenFile !== undefined) throw usageError('run: --token-file', 'is about --serve');
  if (allowHost.length > 0) throw usageError('run: --allow-host', 'is about --serve');
}

/** @returns what ends it. @throws CgoprofError when it cannot listen */
async function serveIfAsked(
  context: Context,
  native: NativeBinding,
  { serve, allowHost = [], tokenFile, go, showPlumbing }: RunOptions,
  { name, ...run }: Pick<RunServing, 'runId' | 'name' | 'failures'>,
): Promise<() => void> {
  if (serve === undefined) return () => {};
  // The server is loaded where it is wanted.
  const { serveRun } = await import('./run-serve.js');
  const listen = { listen: serve, allowHost, tokenFile, go, showPlumbing };
  return serveRun(context, native, { ...run, ...listen, name: nameOf(basename(name)) });
}

function executedNote(pids: readonly number[], follow: boolean): string[] {
  if (pids.length === 0) return [];
  const hint = follow ? '' : ' (see --follow)';
  const what = 'executed another program, which was not profiled';
  return [`pid ${pidList(pids)} ${what}${hint}; what is known of it ends there`];
}

/** One for each reason. */
function groupFailures(failed: readonly FailedProcess[]): CgoprofError[] {
  const words = [...new Set(failed.map(({ word }) => word))];
  return words.map((word) => {
    const pids = failed.filter((one) => one.word === word).map(({ pid }) => pid);
    return startFailure(pidList(pids), word);
  });
}

function pidList(pids: readonly number[]): string {
  return pids.slice(0, 8).join(', ') + (pids.length > 8 ? ` and ${pids.length - 8} more` : '');
}

/**
 * Of segments that were to be kept. They know how many were removed to make room for them; what others removed we have
 * seen, or not.
 */
function removedNote(watch: RunWatch, segments: readonly FoundSegment[]): string[] {
  const known = segments.reduce((sum, { header }) => sum + header.counters.prunedSegments, 0);
  const removed = Math.max(known, watch.removed);
  return removed > 0 ? [`processes that are missing, because their segments were removed: at least ${removed}`] : [];
}

function sayKept(context: Context, what: string, ending: Ending, kept: readonly FoundSegment[]): void {
  const how = 'signal' in ending ? `was killed by ${ending.signal}` : `exited with status ${ending.code}`;
  for (const { path, header } of kept) {
    say(context, `${what} ${how}; the segment of pid ${header.pid} is kept: cgoprof heap ${path} -o FILE`);
  }
}
