import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endedNormally, findRunSegments, newRunId, removeSpent } from '../../../src/collect/run-segments.js';
import type { Ending } from '../../../src/context.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

it('newRunId is a nonzero hex number that differs each time', () => {
  const ids = Array.from({ length: 100 }, newRunId);
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^[1-9a-f][0-9a-f]{0,15}$/);
});

it('findRunSegments takes this run’s alone', () => {
  const ours = [world.segment('10-1.seg', { runId: 'abc' }), world.segment('11-1.seg', { runId: 'abc' })];
  world.segment('12-1.seg', { runId: 'abcd' });
  world.segment('13-1.seg');
  world.segments.set(world.segment('14-1.seg'), codedError('SEGMENT_DAMAGED', ''));
  world.process(11, { start: 1 });
  const found = findRunSegments(world.context(), world.native, 'abc');
  expect(found.map(({ path, livePid }) => [path, livePid])).toEqual([
    [ours[0], undefined],
    [ours[1], 11],
  ]);
});

const NORMAL: Ending[] = [{ code: 0 }, { signal: 'SIGINT' }, { signal: 'SIGTERM' }, { signal: 'SIGHUP' }];
const ABNORMAL: Ending[] = [{ code: 1 }, { code: 2 }, { signal: 'SIGKILL' }, { signal: 'SIGSEGV' }];

describe('removeSpent', () => {
  const make = () => {
    const paths = {
      died: world.segment('10-1.seg', { runId: 'abc' }),
      exited: world.segment('11-1.seg', { runId: 'abc', state: 'exited' }),
      living: world.segment('12-1.seg', { runId: 'abc' }),
    };
    world.process(12, { start: 1 });
    return { paths, segments: findRunSegments(world.context(), world.native, 'abc') };
  };

  it.each(NORMAL)('removes all but the living after %j', (ending) => {
    const { paths, segments } = make();
    expect(endedNormally(ending)).toBe(true);
    expect(removeSpent(segments, ending, true)).toEqual([]);
    expect(Object.values(paths).map(existsSync)).toEqual([false, false, true]);
  });

  it.each(ABNORMAL)('keeps evidence after %j', (ending) => {
    const { paths, segments } = make();
    expect(endedNormally(ending)).toBe(false);
    expect(removeSpent(segments, ending, true).map(({ path }) => path)).toEqual([paths.died]);
    expect(Object.values(paths).map(existsSync)).toEqual([true, false, true]);
  });

  it('removes nothing when not allowed to', () => {
    const { paths, segments } = make();
    const kept = removeSpent(segments, { code: 0 }, false).map(({ path }) => path);
    expect(kept).toEqual([paths.died, paths.exited]);
    expect(Object.values(paths).map(existsSync)).toEqual([true, true, true]);
  });

  it('does not mind a file that is gone already', () => {
    const { segments } = make();
    removeSpent(segments, { code: 0 }, true);
    expect(removeSpent(segments, { code: 0 }, true)).toEqual([]);
  });
});
