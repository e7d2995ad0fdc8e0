/**
 * What a process that serves for days needs of its runtime: it neither ends for a defect in one answer nor lets garbage
 * pile up between snapshots, nor keeps what their buffers took.
 */
import { setFlagsFromString } from 'node:v8';
import type { Context } from '../context.js';
import type { NativeBinding } from '../native-binding.js';
import { reportError } from '../present/error-lines.js';

/** Garbage that may come on top of what lives before the old generation is collected. By default it is many times as much. */
const GARBAGE_PERCENT = 30;

/** @returns what ends it */
export function prepareForLongLife(context: Context, native: NativeBinding): () => void {
  setFlagsFromString(`--heap-growing-percent=${GARBAGE_PERCENT}`);
  native.keepAllocatorSmall();
  // Of something begun that nobody waited for; whoever asked has had an answer.
  const tell = (error: unknown): void => context.writeErr(reportError(error, context.env).text);
  process.on('unhandledRejection', tell);
  return () => void process.off('unhandledRejection', tell);
}
