/** Whether the writer of a segment records, by what it says and what was asked of it. */
import type { SegmentHeader } from './native-binding.js';

/** A wish to pause is obeyed before the next sample, and `state` follows then. */
export function isRecording({ state, wish }: SegmentHeader): boolean {
  return state === 'running' && wish !== 'pause';
}

/** It was switched off, and not ended. */
export function isPaused({ state, wish }: SegmentHeader): boolean {
  return state === 'paused' || (state === 'running' && wish === 'pause');
}
