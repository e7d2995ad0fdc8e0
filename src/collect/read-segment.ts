/**
 * Reads segments through the addon, whose errors become words for people here.
 */
import { CgoprofError, errorCode } from '../errors.js';
import type { NativeBinding, NativeErrorCode, Segment, SegmentHeader } from '../native-binding.js';

interface Explanation {
  readonly why: string;
  readonly hint: string;
}

const EXPLANATIONS: Readonly<Record<Exclude<NativeErrorCode, 'EIO'>, Explanation>> = {
  ENOENT: { why: 'no such file', hint: "Run 'cgoprof ps' to see the segments there are." },
  EACCES: { why: 'permission denied', hint: 'A segment can be read by the user whose process wrote it, and by root.' },
  NOT_A_SEGMENT: {
    why: 'not a cgoprof segment',
    hint: "TARGET is a pid, or a file that 'cgoprof ps' lists; use 'cgoprof merge' for pprof profiles.",
  },
  SEGMENT_VERSION: {
    why: 'a segment of another cgoprof version',
    hint: 'Read it with the cgoprof whose libcgoprof.so wrote it.',
  },
  SEGMENT_STARTING: {
    why: 'the process has not finished setting it up',
    hint: 'Try again in a moment; if the process has died, it left nothing to read.',
  },
  SEGMENT_DAMAGED: {
    why: 'a damaged segment',
    hint: 'The file was cut short or overwritten; nothing in it can be trusted.',
  },
};

/** A segment with all its buckets. @throws CgoprofError */
export function readSegment(native: NativeBinding, path: string): Segment {
  return explained(path, () => native.readSegment(path));
}

/** Only its header. @throws CgoprofError */
export function readSegmentHeader(native: NativeBinding, path: string): SegmentHeader {
  return explained(path, () => native.readSegmentHeader(path));
}

/** What the addon does with a segment. @throws CgoprofError where it throws a NativeErrorCode */
export function explained<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw explain(path, error);
  }
}

/** Whether reading failed only because the writer has not finished setting the segment up, which takes a moment. */
export function isStarting(error: unknown): boolean {
  return error instanceof CgoprofError && errorCode(error.cause) === 'SEGMENT_STARTING';
}

function explain(path: string, error: unknown): unknown {
  const code = errorCode(error) as NativeErrorCode;
  const detail = error instanceof Error ? error.message : '';
  if (code === 'EIO') return new CgoprofError({ what: path, why: detail, cause: error });
  const explanation = EXPLANATIONS[code];
  if (!explanation) return error;
  // The addon's own words say which version, or what contradicts what.
  const precise = code === 'SEGMENT_VERSION' || code === 'SEGMENT_DAMAGED';
  const why = precise && detail ? `${explanation.why} (${detail})` : explanation.why;
  return new CgoprofError({ what: path, why, hint: explanation.hint, cause: error });
}
