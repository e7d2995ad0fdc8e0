/**
 * An error as the lines a person reads: what and why, then a hint. No stack traces, unless CGOPROF_DEBUG asks for them.
 */
import { CgoprofError, EXIT_FAILED, oneLine } from '../errors.js';

export interface ErrorReport {
  /** Ready to print, each ended by a newline. */
  readonly text: string;
  readonly exitCode: number;
}

export function reportError(error: unknown, env: Readonly<Record<string, string | undefined>>): ErrorReport {
  const { message, hint, exitCode } = explain(error);
  const lines = [`cgoprof: ${message}`];
  if (hint) lines.push(`  ${hint}`);
  if (env.CGOPROF_DEBUG === '1' && error instanceof Error && error.stack) lines.push(error.stack);
  return { text: lines.map((line) => `${line}\n`).join(''), exitCode };
}

function explain(error: unknown): { message: string; hint: string; exitCode: number } {
  if (error instanceof CgoprofError) return error;
  return {
    message: `internal error: ${oneLine(error instanceof Error ? error.message : String(error))}`,
    hint: 'This is a defect of cgoprof. CGOPROF_DEBUG=1 shows where it happened; please report it.',
    exitCode: EXIT_FAILED,
  };
}
