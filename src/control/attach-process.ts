/**
 * Switches recording on in a running process, in the least intrusive way that there is: a process into which the library
 * was preloaded is only asked, through a file; any other has a thread stopped for a moment.
 */
import { whyForkIsIdle } from '../collect/idle-library.js';
import { mappedSegmentsIfOurs } from '../collect/mapped-segments.js';
import { isAlive } from '../collect/processes.js';
import { explained, isStarting, readSegmentHeader } from '../collect/read-segment.js';
import { startFailure } from '../collect/start-failure.js';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { AttachResult, NativeBinding } from '../native-binding.js';
import { isRecording } from '../recording.js';
import { checkProcess, gone } from './check-process.js';
import { type InjectOptions, inject } from './inject.js';
import { isRecordingAlready, otherRate } from './refusals.js';
import { isRequested, makeRequest } from './request-file.js';
import { type OwnSegment, type Standing, shortPath, standingOf } from './standing.js';
import { waitFor } from './wait-for.js';

export interface Attached {
  /**
   * injected: a thread was started in it; resumed: it was told to go on; asked: it was asked to begin; already: it
   * recorded before.
   */
  readonly how: 'injected' | 'resumed' | 'asked' | 'already';
  /** False: it will, once a thread of it looks. */
  readonly recording: boolean;
  /** By which we can open it; '' if there is none yet. */
  readonly segment: string;
  /** Of a thread that was stopped. */
  readonly injected?: AttachResult;
}

/** How long a preloaded library gets to see what it is asked; a busy process takes a part of it, an idle one any time. */
export const PATIENCE_MS = 2_000;

/** @throws CgoprofError */
export async function attachProcess(
  context: Context,
  native: NativeBinding,
  pid: number,
  options: InjectOptions,
): Promise<Attached> {
  checkProcess(context, pid);
  const standing = await standingOf(context, native, pid, `attach ${pid}`);
  const { segment, library } = standing;
  if (segment !== undefined) checkRate(pid, segment, options.rate);
  if (segment !== undefined && isRecording(segment.header)) {
    return { how: 'already', recording: true, segment: segment.path };
  }
  if (library === 'preloaded') return attachPreloaded(context, native, pid, { standing, rate: options.rate });
  try {
    return await attachByThread(context, native, pid, options);
  } catch (error) {
    if (!isRecordingAlready(error)) throw error;
    const { segment } = await standingOf(context, native, pid, `attach ${pid}`);
    return { how: 'already', recording: true, segment: segment?.path ?? '' };
  }
}

async function attachByThread(
  context: Context,
  native: NativeBinding,
  pid: number,
  options: InjectOptions,
): Promise<Attached> {
  const injected = await inject(context, native, { pid, action: 'attach' }, options);
  const path = shortPath(`${context.procRoot}/${pid}/root${injected.segment}`, context, pid);
  return { how: 'injected', recording: true, segment: path, injected };
}

/** All counts of a segment are of one rate. */
function checkRate(pid: number, { header }: OwnSegment, rate: number | undefined): void {
  if (rate !== undefined && rate !== header.sampleRate) throw otherRate(pid, header.sampleRate);
}

async function attachPreloaded(
  context: Context,
  native: NativeBinding,
  pid: number,
  { standing, rate }: { standing: Standing; rate: number | undefined },
): Promise<Attached> {
  const { segment, failure } = standing;
  if (segment !== undefined) return resume(native, pid, segment);
  if (failure !== undefined) throw startFailure(pid, failure);
  const fork = whyForkIsIdle(context, pid);
  if (fork !== undefined) throw fork;
  makeRequest(context, pid, rate);
  return awaitStart(context, native, pid);
}

async function resume(native: NativeBinding, pid: number, { path, header }: OwnSegment): Promise<Attached> {
  if (header.state === 'exited') {
    throw new CgoprofError({ what: `pid ${pid}`, why: 'it is ending', hint: `What it holds: cgoprof heap ${pid}` });
  }
  explained(path, () => native.setSegmentWish(path, 'record'));
  const recording = await waitFor(() => isRecording(readSegmentHeader(native, path)), PATIENCE_MS);
  return { how: 'resumed', recording, segment: path };
}

/** Its mappings, which hold up the process when they are read, are looked at when the request is gone. */
async function awaitStart(context: Context, native: NativeBinding, pid: number): Promise<Attached> {
  let paths: readonly string[] = [];
  const recording = await waitFor(() => {
    if (!isAlive(context.procRoot, pid)) throw gone(pid);
    if (isRequested(context, pid)) return false;
    const mapped = mappedSegmentsIfOurs(context.procRoot, pid);
    if (mapped?.failure !== undefined) throw startFailure(pid, mapped.failure);
    paths = mapped?.paths ?? [];
    return paths.some((path) => recordsInto(native, path));
  }, PATIENCE_MS);
  const [path] = paths;
  return { how: 'asked', recording, segment: path === undefined ? '' : shortPath(path, context, pid) };
}

function recordsInto(native: NativeBinding, path: string): boolean {
  try {
    return isRecording(readSegmentHeader(native, path));
  } catch (error) {
    if (isStarting(error)) return false;
    throw error;
  }
}
