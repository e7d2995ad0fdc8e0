/**
 * The symbolize stage as commands use it: several segments, a progress line, and warnings once it is through.
 */
import { fileSystemRoot } from '../collect/target.js';
import { type Context, say } from '../context.js';
import type { NativeBinding, Segment } from '../native-binding.js';
import { Progress } from '../present/progress.js';
import { DEBUG_ROOTS, symbolCache } from '../symbolize/symbol-places.js';
import { type SymbolizedSegment, symbolizeSegment } from '../symbolize/symbolize-segment.js';

/** A segment that was read, and the process that writes it while it lives. */
export interface CollectedSegment {
  readonly segment: Segment;
  readonly livePid: number | undefined;
}

export async function symbolizeSegments(
  context: Context,
  native: NativeBinding,
  collected: readonly CollectedSegment[],
): Promise<SymbolizedSegment[]> {
  const progress = new Progress(context, 'symbolizing');
  const warnings = new Set<string>();
  const symbolized: SymbolizedSegment[] = [];
  for (const { segment, livePid } of collected) {
    const options = {
      root: fileSystemRoot(context, livePid),
      pid: livePid,
      debugRoots: DEBUG_ROOTS,
      cache: symbolCache(context),
      onProgress: (done: number, total: number, module: string) => progress.update(done, total, module),
      warn: (message: string) => warnings.add(message),
    };
    symbolized.push(await symbolizeSegment(segment, options, native));
  }
  progress.end();
  for (const warning of warnings) say(context, `warning: ${warning}`);
  return symbolized;
}
