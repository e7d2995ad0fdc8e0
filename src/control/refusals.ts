/**
 * Why a process could not be attached to or detached from, in words for people: the addon's codes, and the words that the
 * library in the process leaves in the mailbox.
 */
import { startFailure } from '../collect/start-failure.js';
import type { Context } from '../context.js';
import { CgoprofError, errorCode } from '../errors.js';
import type { AttachErrorCode, AttachRequest } from '../native-binding.js';
import { gone, stopped, traced } from './check-process.js';
import { notPermitted } from './not-permitted.js';

interface Words {
  readonly why: string;
  readonly hint: string;
}

const RUN_INSTEAD = 'Restart it with cgoprof run.';
const TRY_AGAIN = 'Nothing has changed in it. Try again.';

/** Codes that say the same of every process. */
const CODES: Readonly<Partial<Record<AttachErrorCode, (detail: string) => Words>>> = {
  ZOMBIE: () => ({ why: 'a zombie: it has ended', hint: 'Its parent has not asked yet how.' }),
  MACHINE: (detail) => ({
    why: `a process of another kind than amd64: ${detail}`,
    hint: 'cgoprof knows amd64 alone, so far.',
  }),
  STATIC: () => ({
    why: 'its executable is linked statically, so nothing can be loaded into it',
    hint: 'Link it dynamically (without -static); cgoprof run cannot help either.',
  }),
  MUSL: (detail) => ({
    why: `its C library is not glibc: ${detail}`,
    hint: 'Use an image with glibc, such as Debian’s; musl is not supported so far.',
  }),
  LIBC: (detail) => ({
    why: `${detail} is not found in its C library, so the library cannot be loaded into it`,
    hint: RUN_INSTEAD,
  }),
  SHADOW_STACK: () => ({
    why: 'its threads have shadow stacks, which a thread that is made to call a function would break',
    hint: `${RUN_INSTEAD} Or without them: GLIBC_TUNABLES=glibc.cpu.x86_shstk=off.`,
  }),
  SANITIZER: (detail) => ({
    why: `it was built with a sanitizer that must know of every thread (${detail})`,
    hint: 'Build it without -fsanitize=thread or memory.',
  }),
  OVERWRITTEN: (detail) => ({
    why: `the file of a library that it uses was overwritten in place: ${detail}. Loading another one may crash it`,
    hint: 'Nothing has changed in it, but restart it. To install a library, rename the new file into its place (mv, install), never cp.',
  }),
  FORBIDDEN: (detail) => ({
    why: `the kernel forbids it ${detail}, which attaching takes`,
    hint: `A seccomp filter, a security module or the setting vm.memfd_noexec does that. ${RUN_INSTEAD}`,
  }),
  SECCOMP_FORBIDS: (detail) => {
    const call = /^\d+$/.test(detail) ? `system call ${detail}` : detail;
    return {
      why: `its seccomp filter forbids ${call}, which attaching takes`,
      hint: `Allow ${call} in the filter, or start it with cgoprof run.`,
    };
  },
  NO_SAFE_POINT: (detail) => ({
    why: `no thread was found at a point where it may be stopped${inBrackets(detail && `of ${detail}`)}`,
    hint: `${TRY_AGAIN} A thread that waits in the kernel is needed, outside its C library’s allocator and loader.`,
  }),
  NO_MEMORY: (detail) => ({
    why: `it has no room for what attaching takes${inBrackets(detail)}`,
    hint: 'Raise its limits: address space (ulimit -v), open files (ulimit -n), memory of its container.',
  }),
  LIBRARY_VERSION: () => ({
    why: 'another version of cgoprof was attached to it before',
    hint: 'Use that version, or restart the process: a library that is loaded stays.',
  }),
  BUSY: () => ({
    why: 'it did not answer in time; likely one of its threads holds the loader’s lock. It was told not to begin',
    hint: 'Try again.',
  }),
  LOST: () => ({
    why: 'a thread of it was to load the library, but nothing was heard of that; one may be held up',
    hint: "Run 'cgoprof ps' in a moment to see whether it is profiled; do not try again before it works as usual.",
  }),
};

const STATIC_TLS: Words = {
  why: 'no room is left in its static TLS block, which the library takes a few bytes of',
  hint: 'Restart it with cgoprof run, or with more room: GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096.',
};

/** Words of the library about attaching; those about the segment are start-failure.ts's. */
const LIBRARY_WORDS: Readonly<Record<string, Words>> = {
  relocations: { why: 'its calls of malloc could not be redirected', hint: `Nothing is recorded. ${RUN_INSTEAD}` },
  rate: {
    why: 'it was attached to before with another --rate, and its counts cannot be of two',
    hint: 'Attach without --rate.',
  },
  recording: { why: 'it is recorded already', hint: "Run 'cgoprof ps' to see the profiled processes." },
  'not-attached': { why: 'nothing was attached to it', hint: "Run 'cgoprof ps' to see the profiled processes." },
  preloaded: { why: 'the library was preloaded into it', hint: 'Is the tool older than the library?' },
  version: {
    why: 'another version of cgoprof was attached to it before',
    hint: 'Use that version, or restart the process.',
  },
  cancelled: { why: 'it did not answer in time, and was told not to begin', hint: 'Try again.' },
  busy: { why: 'somebody else is attaching to it, or detaching from it, at this moment', hint: 'Try again.' },
};

function isWord(error: CgoprofError, word: string): boolean {
  return errorCode(error.cause) === 'LIBRARY' && detailOf(error.cause) === word;
}

function inBrackets(detail: string): string {
  return detail === '' ? '' : ` (${detail})`;
}

/** An error of {@link NativeBinding.attach} for people; any other as it is. */
export function refusal(context: Context, request: AttachRequest, error: unknown): unknown {
  const { pid, action } = request;
  const code = errorCode(error) as AttachErrorCode | 'EIO';
  const detail = detailOf(error);
  if (code === 'GONE') return gone(pid);
  if (code === 'STOPPED') return stopped(pid);
  if (code === 'TRACED') return traced(context, pid, Number(detail) || 0);
  if (code === 'NOT_PERMITTED') return notPermitted(context, pid, `${action} ${pid}`);
  if (code === 'LIBRARY' && LIBRARY_WORDS[detail] === undefined) return startFailure(pid, detail);
  const words = code === 'EIO' ? systemWords(error, request) : wordsOf(code, detail, request);
  return words === undefined ? error : new CgoprofError({ what: `pid ${pid}`, ...words, cause: error });
}

/** Whether a refusal is that it records already: somebody else was faster. */
export function isRecordingAlready(error: unknown): boolean {
  return error instanceof CgoprofError && isWord(error, 'recording');
}

/** Whether a refusal is that there is nothing to detach from. */
export function isNotAttached(error: CgoprofError): boolean {
  return isWord(error, 'not-attached');
}

function wordsOf(code: AttachErrorCode, detail: string, { pid, action }: AttachRequest): Words | undefined {
  switch (code) {
    case 'LIBRARY':
      return LIBRARY_WORDS[detail];
    case 'LOADER':
      return loaderWords(detail);
    case 'SECCOMP_UNKNOWN':
      return {
        why: 'it has a seccomp filter that we may not read; some end the process for a call that they do not know',
        hint:
          `Root outside of containers can read it: sudo cgoprof ${action} ${pid}. If you know that it answers with errors, as the default ` +
          'profiles of Docker and Kubernetes do: --trust-seccomp.',
      };
    default:
      return CODES[code]?.(detail);
  }
}

function loaderWords(detail: string): Words {
  if (detail.includes('static TLS')) return STATIC_TLS;
  return { why: `its loader could not load the library: ${detail}`, hint: `Nothing has changed in it. ${RUN_INSTEAD}` };
}

/** Most likely of the library's file. */
function systemWords(error: unknown, { libraryPath }: AttachRequest): Words {
  const hint = `Nothing has changed in it. The library is ${libraryPath}; npm run build makes it anew.`;
  return { why: (error as Error).message, hint };
}

function detailOf(error: unknown): string {
  const detail = (error as { detail?: unknown } | null | undefined)?.detail;
  return typeof detail === 'string' ? detail : '';
}

/** Of a process that records, or did, at a rate that cannot be changed any more. */
export function otherRate(pid: number, rate: number): CgoprofError {
  return new CgoprofError({
    what: `pid ${pid}`,
    why: `its segment has --rate ${rate}, and its counts cannot be of two`,
    hint: `Leave --rate away: cgoprof attach ${pid}`,
  });
}
