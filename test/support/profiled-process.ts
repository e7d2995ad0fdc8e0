/** A living process of a FakeWorld that has the library, and a segment of it or none. */
import { statSync } from 'node:fs';
import type { SegmentHeader } from '../../src/native-binding.js';
import { type FakeProcess, type FakeWorld, mapsLine } from './fake-world.js';

export const PRELOADED = mapsLine('/opt/lib/libcgoprof.so', 5, '7e0000000000-7e0000001000');
export const ATTACHED = mapsLine('/memfd:libcgoprof.so (deleted)', 6, '7e0000000000-7e0000001000');

/** Its segment's path; what the addon finds in it, it finds through the process's root as well. */
export function recordedProcess(
  world: FakeWorld,
  pid: number,
  { library, header, ...fake }: FakeProcess & { library: string; header?: Partial<SegmentHeader> },
): string {
  const path = world.segment(`${pid}-1.seg`, header);
  world.process(pid, { maps: library + mapsLine(path, statSync(path).ino), ...fake });
  world.segments.set(`${world.procRoot}/${pid}/root${path}`, world.segments.get(path) as never);
  return path;
}
