/** Has the addon stop a thread of a process for a moment, so that it starts another one, which puts hooks in or takes them out. */
import { builtLibrary } from '../collect/preload-environment.js';
import type { Context } from '../context.js';
import type { AttachRequest, AttachResult, NativeBinding } from '../native-binding.js';
import { checkStoppable } from './check-process.js';
import { refusal } from './refusals.js';

/** To find a thread that may be stopped, and then for the library to load and to answer. */
const DEADLINE_MS = 5_000;

export interface InjectOptions {
  /** Mean bytes between samples, where the person gave it. */
  readonly rate?: number | undefined;
  /** Go on where there is a seccomp filter that cannot be read. */
  readonly trustSeccomp: boolean;
  /** Leave the allocator alone: it may take long to count what is in use. */
  readonly skipAccount?: boolean;
}

/** @throws CgoprofError that says why not, and what to do */
export async function inject(
  context: Context,
  native: NativeBinding,
  { pid, action }: Pick<AttachRequest, 'pid' | 'action'>,
  { rate, trustSeccomp, skipAccount = false }: InjectOptions,
): Promise<AttachResult> {
  checkStoppable(context, pid);
  const chosen = context.env.CGOPROF_DIR;
  const request: AttachRequest = {
    pid,
    action,
    libraryPath: builtLibrary(context),
    rate: rate ?? 0,
    // The library takes absolute paths only.
    directory: chosen?.startsWith('/') ? chosen : '',
    deadlineMs: DEADLINE_MS,
    trustSeccomp,
    skipAccount,
  };
  try {
    return await native.attach(request);
  } catch (error) {
    throw refusal(context, request, error);
  }
}
