import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as mapped from '../../../src/collect/mapped-segments.js';
import { FailureWatch } from '../../../src/collect/watch-failures.js';
import { FakeWorld, mapsLine } from '../../support/fake-world.js';

let world: FakeWorld;
let watch: FailureWatch;
beforeEach(() => {
  world = new FakeWorld();
  watch = new FailureWatch(world.procRoot, 'abc');
});
afterEach(() => {
  vi.restoreAllMocks();
  world.remove();
});

const OURS = ['PATH=/bin', 'CGOPROF_RUN_ID=abc'];
const LIBRARY = mapsLine('/opt/libcgoprof.so', 5);
const failed = (word = 'no-room'): string => LIBRARY + mapsLine(`/memfd:cgoprof-failed-${word} (deleted)`, 6);

describe('a process of the run that could not be profiled', () => {
  it.each([
    ['', OURS],
    [', with its environment blanked as the library does in Go programs', ['PATH=/bin', '', 'GOPROF_RUN_ID=abc']],
  ])('is found%s, and kept when it has ended', (_, environ) => {
    world.process(10, { environ, maps: failed() });
    watch.look();
    rmSync(world.path('proc/10'), { recursive: true });
    watch.look();
    expect(watch.failed).toEqual([{ pid: 10, word: 'no-room' }]);
  });

  it('is found when its library was only being loaded at the first look', () => {
    world.process(10, { environ: OURS, maps: '' });
    watch.look();
    world.process(10, { environ: OURS, maps: failed() });
    watch.look();
    expect(watch.failed).toEqual([{ pid: 10, word: 'no-room' }]);
  });

  it('is found when it has executed what was to be profiled', () => {
    world.process(10, { environ: OURS, code: 1, maps: LIBRARY });
    for (let i = 0; i < 3; i++) watch.look();
    world.process(10, { environ: OURS, code: 2, maps: failed() });
    watch.look();
    expect(watch.failed).toEqual([{ pid: 10, word: 'no-room' }]);
  });

  it('is another than the one that had its pid', () => {
    world.process(10, { environ: OURS, start: 1, maps: failed() });
    watch.look();
    rmSync(world.path('proc/10'), { recursive: true });
    watch.look();
    world.process(10, { environ: OURS, start: 2, maps: failed('file') });
    for (let i = 0; i < 3; i++) watch.look();
    expect(watch.failed).toEqual([
      { pid: 10, word: 'no-room' },
      { pid: 10, word: 'file' },
    ]);
  });
});

it.each([
  ['of another run', { environ: ['CGOPROF_RUN_ID=abcd'], maps: failed() }],
  ['that does not let us see its environment', { maps: failed() }],
  ['that does not let us see its mappings', { environ: OURS }],
  ['that has ended', { environ: OURS, state: 'Z', maps: failed() }],
  ['that is profiled, or dormant', { environ: OURS, maps: LIBRARY }],
])('a process %s is none', (_, fake) => {
  world.process(10, fake);
  for (let i = 0; i < 3; i++) watch.look();
  expect(watch.failed).toEqual([]);
});

it('mappings are read twice at most, of processes of the run', () => {
  const read = vi.spyOn(mapped, 'mappedSegmentsIfOurs');
  world.process(10, { environ: OURS, maps: LIBRARY });
  world.process(11, { environ: OURS, maps: failed() });
  world.process(12, { environ: [], maps: failed() });
  for (let i = 0; i < 5; i++) watch.look();
  expect(read.mock.calls.map(([, pid]) => pid).sort()).toEqual([10, 10, 11]);
});
