import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { merge } from '../../../src/commands/merge.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { readProfileFile } from '../../support/read-profile.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

let world: FakeWorld;
let output: string;
beforeEach(() => {
  world = new FakeWorld();
  output = world.path('merged.pb.gz');
});
afterEach(() => world.remove());

function segment(name: string, bytes: number): string {
  const path = world.segment(name);
  const counts = { allocs: 1, frees: 0, allocBytes: bytes, freeBytes: 0 };
  world.segments.set(path, symbolizedSegment({ buckets: [{ stack: ['lib:?'], ...counts }] }).segment);
  return path;
}

const goFile = (name: string, bytes: number): string =>
  world.write(
    name,
    gzipSync(goProfile({ samples: [{ stack: ['main.f@m.go:1'], values: [1, bytes, 1, bytes] }] }).encode()),
  );
const written = () => readProfileFile(output);

describe('merge', () => {
  it('adds up any number of profiles and segments', async () => {
    const inputs = [goFile('a.pb.gz', 101), segment('10-1.seg', 97), goFile('b.pb.gz', 103), segment('11-1.seg', 89)];
    expect(await merge(world.context(), inputs, { output, showPlumbing: false })).toEqual({ code: 0 });
    const inUse = (await written()).samples.map(({ labels, values }) => [labels.allocator, values[3]]).sort();
    expect(inUse).toEqual([
      ['c', 89],
      ['c', 97],
      ['go', 204],
    ]);
    expect(world.err).toContain('186 B in use by C, 204 B by Go');
  });

  it('takes what it has written before', async () => {
    await merge(world.context(), [goFile('a.pb.gz', 101), segment('10-1.seg', 97)], { output, showPlumbing: false });
    const first = output;
    output = world.path('again.pb.gz');
    await merge(world.context(), [first], { output, showPlumbing: false });
    expect((await written()).samples).toHaveLength(2);
  });

  it('needs a place to write to', async () => {
    await expect(merge(world.context(), [], { showPlumbing: false })).rejects.toMatchObject({
      message: 'merge: needs -o FILE',
      exitCode: 2,
    });
    await expect(merge(world.context(), [], { output: world.root, showPlumbing: false })).rejects.toThrow(
      'is a directory',
    );
  });

  it.each([
    ['nothing', 'no such file or directory'],
    ['garbage', 'not a pprof profile, or a damaged one'],
  ])('says what is wrong with %s', async (name, why) => {
    world.write('garbage', 'garbage in, error out');
    const path = world.path(name);
    await expect(merge(world.context(), [path], { output, showPlumbing: false })).rejects.toThrow(`${path}: ${why}`);
  });

  it('says what is wrong with a segment', async () => {
    const path = segment('10-1.seg', 97);
    world.segments.set(path, codedError('SEGMENT_DAMAGED', 'cut'));
    await expect(merge(world.context(), [path], { output, showPlumbing: false })).rejects.toThrow(
      `${path}: a damaged segment (cut)`,
    );
  });
});
