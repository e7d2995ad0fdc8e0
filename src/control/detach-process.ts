/**
 * Switches recording off in a running process: at once, through its segment; then, where the library was attached, takes
 * the hooks out, for which a thread has to be stopped.
 */
import { explained } from '../collect/read-segment.js';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { AttachResult, NativeBinding } from '../native-binding.js';
import { isPaused } from '../recording.js';
import { checkProcess } from './check-process.js';
import { type InjectOptions, inject } from './inject.js';
import { isNotAttached } from './refusals.js';
import { isRequested, withdrawRequest } from './request-file.js';
import { type OwnSegment, standingOf } from './standing.js';

export interface Detached {
  /**
   * injected: a thread was started in it, and the hooks are out; asked: it was told to pause; withdrawn: it had been asked
   * to begin, and had not; already: nothing was recorded.
   */
  readonly how: 'injected' | 'asked' | 'withdrawn' | 'already';
  /** By which we can open it; '' if there is none. */
  readonly segment: string;
  /** Of a thread that was stopped. */
  readonly injected?: AttachResult;
}

/** @throws CgoprofError */
export async function detachProcess(
  context: Context,
  native: NativeBinding,
  pid: number,
  options: InjectOptions,
): Promise<Detached> {
  checkProcess(context, pid);
  const { library, segment } = await standingOf(context, native, pid, `detach ${pid}`);
  if (library === 'none') {
    const hint = "Run 'cgoprof ps' to see the profiled processes.";
    throw new CgoprofError({ what: `pid ${pid}`, why: 'not profiled: libcgoprof.so is not loaded in it', hint });
  }
  if (library === 'preloaded') return detachPreloaded(context, native, pid, segment);
  if (segment !== undefined) pause(native, segment);
  const injected = await takeHooksOut(context, native, pid, options);
  const path = segment?.path ?? '';
  return injected === undefined ? { how: 'already', segment: path } : { how: 'injected', segment: path, injected };
}

function pause(native: NativeBinding, { path }: OwnSegment): void {
  explained(path, () => native.setSegmentWish(path, 'pause'));
}

function detachPreloaded(
  context: Context,
  native: NativeBinding,
  pid: number,
  segment: OwnSegment | undefined,
): Detached {
  if (segment !== undefined) {
    if (isPaused(segment.header)) return { how: 'already', segment: segment.path };
    pause(native, segment);
    return { how: 'asked', segment: segment.path };
  }
  if (!isRequested(context, pid)) return { how: 'already', segment: '' };
  withdrawRequest(context, pid);
  return { how: 'withdrawn', segment: '' };
}

/** Undefined where they are out, or came with a fork and lead nowhere. */
async function takeHooksOut(
  context: Context,
  native: NativeBinding,
  pid: number,
  options: InjectOptions,
): Promise<AttachResult | undefined> {
  try {
    return await inject(context, native, { pid, action: 'detach' }, options);
  } catch (error) {
    if (!(error instanceof CgoprofError)) throw error;
    if (isNotAttached(error)) return undefined;
    throw new CgoprofError({
      what: `pid ${pid}`,
      why: `recording is off, but the hooks are still in: ${error.message.replace(`pid ${pid}: `, '')}`,
      hint: `They cost a few instructions a call. ${error.hint} Then: cgoprof detach ${pid}`,
      cause: error,
    });
  }
}
