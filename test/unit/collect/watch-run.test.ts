import { rmSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunWatch } from '../../../src/collect/watch-run.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
let readHeaders: string[];
beforeEach(() => {
  world = new FakeWorld();
  readHeaders = [];
});
afterEach(() => world.remove());

function watchOf(runId: string): RunWatch {
  const { native } = world;
  const readSegmentHeader = (path: string) => {
    readHeaders.push(path);
    return native.readSegmentHeader(path);
  };
  return new RunWatch(world.context(), { ...native, readSegmentHeader }, runId);
}

const segment = (name: string, runId = 'abc', createdUnixNs = 1n): string =>
  world.segment(name, { runId, createdUnixNs });
const mapsOf = (...paths: string[]): string =>
  paths.map((path) => `7f00-7f01 rw-s 00000000 00:19 ${statSync(path).ino} ${path}\n`).join('');
const PROGRAM = '0400-0500 r-xp 00000000 08:01 7 /srv/other\n';

/** What the watch says of a segment that is there. */
function hasExecuted(watch: RunWatch, path: string): boolean {
  return watch.hasExecuted({ path, header: world.native.readSegmentHeader(path), livePid: undefined });
}

describe('a process that executed another program', () => {
  it('is told from one that did not', () => {
    const [stays, goes] = [segment('10-5.seg'), segment('11-5.seg')];
    world.process(10, { start: 5, code: 1, maps: mapsOf(stays) });
    world.process(11, { start: 5, code: 1, maps: mapsOf(goes) });
    const watch = watchOf('abc');
    watch.look();
    expect([stays, goes].map((path) => hasExecuted(watch, path))).toEqual([false, false]);
    world.process(11, { start: 5, code: 2, maps: PROGRAM });
    watch.look();
    expect([stays, goes].map((path) => hasExecuted(watch, path))).toEqual([false, true]);
  });

  it('is remembered when it has ended, also if it executed before the first look', () => {
    const path = segment('10-5.seg');
    world.process(10, { start: 5, code: 2, maps: PROGRAM });
    const watch = watchOf('abc');
    watch.look();
    world.process(10, { start: 6 });
    watch.look();
    expect(hasExecuted(watch, path)).toBe(true);
  });

  it('is not one with the segment that the next program makes under --follow', () => {
    const path = segment('10-5.seg', 'abc', 1n);
    world.process(10, { start: 5, code: 2, maps: PROGRAM });
    const watch = watchOf('abc');
    watch.look();
    expect(hasExecuted(watch, path)).toBe(true);
    segment('10-5.seg', 'abc', 2n); // the same name, perhaps the same inode
    world.process(10, { start: 5, code: 2, maps: mapsOf(path) });
    watch.look();
    expect(hasExecuted(watch, path)).toBe(false);
    world.process(10, { start: 5, code: 3, maps: PROGRAM });
    watch.look();
    expect([hasExecuted(watch, path), watch.removed]).toEqual([true, 0]);
  });

  it('is noticed when its segment could not be read at first', () => {
    const path = segment('10-5.seg');
    const ready = world.segments.get(path);
    world.segments.set(path, codedError('SEGMENT_STARTING', ''));
    world.process(10, { start: 5, code: 2, maps: PROGRAM });
    const watch = watchOf('abc');
    watch.look();
    if (ready) world.segments.set(path, ready);
    watch.look();
    expect(hasExecuted(watch, path)).toBe(true);
  });

  it.each([
    ['is ending, so that its mappings end early', { start: 5, code: 0, maps: PROGRAM }],
    ['has ended and is not waited for', { start: 5, code: 1, state: 'Z', maps: PROGRAM }],
    ['has ended, and its pid is used again', { start: 6, code: 1, maps: PROGRAM }],
    ['does not let us see its mappings', { start: 5, code: 1 }],
  ])('is not one that %s', (_, fake) => {
    const path = segment('10-5.seg');
    world.process(10, fake);
    const watch = watchOf('abc');
    watch.look();
    expect(hasExecuted(watch, path)).toBe(false);
  });

  it('is looked for again where that could not be seen', () => {
    const path = segment('10-5.seg');
    world.process(10, { start: 5, code: 1 });
    const watch = watchOf('abc');
    watch.look();
    world.write('proc/10/maps', PROGRAM);
    watch.look();
    expect(hasExecuted(watch, path)).toBe(true);
  });
});

describe('what a look costs', () => {
  it('mappings are read once per program', () => {
    const path = segment('10-5.seg');
    world.process(10, { start: 5, code: 1, maps: mapsOf(path) });
    const watch = watchOf('abc');
    watch.look();
    world.write('proc/10/maps', PROGRAM);
    watch.look();
    expect(hasExecuted(watch, path)).toBe(false);
  });

  it('files of others, of the dead, and such as are no segments are opened once', () => {
    segment('10-5.seg', 'abcd');
    segment('11-5.seg', 'abc');
    world.segments.set(segment('12-5.seg'), codedError('SEGMENT_DAMAGED', ''));
    world.segments.set(segment('13-5.seg'), codedError('SEGMENT_STARTING', ''));
    const watch = watchOf('abc');
    for (let i = 0; i < 3; i++) watch.look();
    expect(readHeaders.length).toBe(4);
  });
});

describe('removed', () => {
  it('counts segments of the run whose process has ended, and no others', () => {
    const [other, living] = [segment('10-1.seg', 'abcd'), segment('13-5.seg')];
    const [gone] = [segment('11-1.seg'), segment('12-1.seg')];
    world.process(13, { start: 5, code: 1, maps: mapsOf(living) });
    const watch = watchOf('abc');
    watch.look();
    expect(watch.removed).toBe(0);
    for (const path of [other, gone, living]) rmSync(path);
    watch.look();
    expect(watch.removed).toBe(1);
    world.process(13, { start: 6 });
    watch.look();
    expect(watch.removed).toBe(2);
    watch.look();
    expect(watch.removed).toBe(2);
  });
});

it('a look that fails does no harm', () => {
  const watch = new RunWatch(world.context({ env: { CGOPROF_DIR: '/\0' } }), world.native, 'abc');
  expect(() => watch.look()).not.toThrow();
});
