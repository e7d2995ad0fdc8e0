/**
 * Errors meant for people: what failed, why, and what to do about it. Anything else that is thrown is a defect of ours
 * and is shown as one.
 */
import { getSystemErrorMap } from 'node:util';

/** Exit codes of every command but `run`, which ends as its child did. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export interface ErrorParts {
  /** What was being done or read: `run: ./server`, a path, a URL; '' where the reason says it all. */
  readonly what: string;
  /** The reason, one clause without a full stop. */
  readonly why: string;
  /** What the person can do next, one line. */
  readonly hint?: string;
  readonly exitCode?: number;
  readonly cause?: unknown;
}

/** A failure with an explanation. Its message is `what: why`, one line. */
export class CgoprofError extends Error {
  override readonly name = 'CgoprofError';
  readonly hint: string;
  readonly exitCode: number;

  constructor(parts: ErrorParts) {
    super(oneLine(parts.what === '' ? parts.why : `${parts.what}: ${parts.why}`), { cause: parts.cause });
    this.hint = oneLine(parts.hint ?? '');
    this.exitCode = parts.exitCode ?? EXIT_FAILED;
  }
}

/** The command line itself is wrong: exit code 2. */
export function usageError(what: string, why: string, hint = "Run 'cgoprof help' for usage."): CgoprofError {
  return new CgoprofError({ what, why, hint, exitCode: EXIT_USAGE });
}

/** `code` of a system or addon error, '' when it has none. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

/** The reason clause of an error from the system, in strerror's words: without the code, call and path of Node's. */
export function systemReason(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const { errno } = error as NodeJS.ErrnoException;
  const words = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return words ?? oneLine(error.message);
}

/**
 * Text from outside (a path, a server's words) made fit for one line of a terminal: control characters, which could
 * move the cursor or forge a second line, become spaces.
 */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}
