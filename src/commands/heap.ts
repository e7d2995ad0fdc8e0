/**
 * `cgoprof heap TARGET`: the merged profile of one process, living or dead; or what it estimates, as JSON.
 */
import { existsSync } from 'node:fs';
import type { FoundSegment } from '../collect/find-segments.js';
import { fetchGoHeap, parseGoSource } from '../collect/go-heap.js';
import { readSegment } from '../collect/read-segment.js';
import { resolveTarget } from '../collect/target.js';
import { type Context, DONE, type Ending, say } from '../context.js';
import { usageError } from '../errors.js';
import { cProfile } from '../merge/c-profile.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { parseGoProfile, sayIfOther } from '../merge/parse-profile.js';
import { segmentNotes } from '../merge/segment-notes.js';
import type { NativeBinding, Segment } from '../native-binding.js';
import { estimatesJson } from '../present/estimates-json.js';
import { checkOutput, presentProfile, STDOUT } from '../present/output.js';
import { symbolizeSegments } from './symbolize-segments.js';

export interface HeapOptions {
  /** File, or '-' for standard output. Default: named after the pid, in the working directory; with json, no profile. */
  readonly output?: string | undefined;
  /** URL, file or none. */
  readonly go?: string | undefined;
  /** Ask the Go side to collect first. */
  readonly gc: boolean;
  readonly showPlumbing: boolean;
  /** Print estimates per site, with their standard errors. */
  readonly json: boolean;
}

export async function heap(context: Context, target: string, options: HeapOptions): Promise<Ending> {
  if (options.gc && options.go === undefined)
    throw usageError('--gc', 'needs --go URL: it asks the service to collect');
  if (options.json && options.output === STDOUT) throw usageError('--json', 'takes standard output: give -o a file');
  const source = parseGoSource(options.go ?? 'none', options);
  const native = await context.loadNative();

  const found = resolveTarget(context, native, target);
  const output = outputOf(options, found);
  if (output !== undefined) checkOutput(context, output);
  // Go first: its collection may run finalizers that free C memory.
  const go = source.kind === 'none' ? [] : [await fetchGoHeap(source)];
  const goProfiles = go.map(({ bytes, name }) => parseGoProfile(bytes, name));
  const segment = readFound(context, native, target, found);
  for (const profile of goProfiles) sayIfOther(context, profile, [segment]);

  const symbolized = await symbolizeSegments(context, native, [{ segment, livePid: found.livePid }]);

  const c = symbolized.map((one) => cProfile(one, options));
  for (const note of segmentNotes(segment)) say(context, note);
  if (output !== undefined) {
    const comments = go.map(({ name }) => `cgoprof: Go heap profile from ${name}`);
    await presentProfile(context, mergeProfiles({ go: goProfiles, c, comments }), output);
  }
  if (options.json) context.writeOut(estimatesJson({ segment, c, go: goProfiles }));
  if (options.go === undefined) say(context, 'only the C side; add --go http://HOST:PORT for the Go side');
  return DONE;
}

/** Where the profile goes; undefined for nowhere. */
function outputOf({ output, json }: HeapOptions, { livePid, header }: FoundSegment): string | undefined {
  return output ?? (json ? undefined : `cgoprof.${livePid ?? header.pid}.heap.pb.gz`);
}

/** The process may have ended while its Go side was asked; its segment is then where dead processes leave theirs. */
function readFound(context: Context, native: NativeBinding, target: string, found: FoundSegment): Segment {
  if (found.livePid === undefined || existsSync(found.path)) return readSegment(native, found.path);
  return readSegment(native, resolveTarget(context, native, target).path);
}
