import { rmSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunWatch } from '../../../src/collect/watch-run.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const watchOf = (runId: string): RunWatch => new RunWatch(world.context(), world.native, runId);
const mapsOf = (...paths: string[]): string =>
  paths.map((path) => `7f00-7f01 rw-s 00000000 00:19 ${statSync(path).ino} ${path}\n`).join('');
const PROGRAM = '0400-0500 r-xp 00000000 08:01 7 /srv/other\n';

it('tells a process that executed another program from one that did not', () => {
  const [stays, goes] = [world.segment('10-5.seg', { runId: 'abc' }), world.segment('11-5.seg', { runId: 'abc' })];
  world.process(10, { start: 5, code: 1, maps: mapsOf(stays) });
  world.process(11, { start: 5, code: 1, maps: mapsOf(goes) });
  const watch = watchOf('abc');
  watch.look();
  expect([stays, goes].map((path) => watch.hasExecuted(path))).toEqual([false, false]);
  world.process(11, { start: 5, code: 2, maps: PROGRAM });
  watch.look();
  expect([stays, goes].map((path) => watch.hasExecuted(path))).toEqual([false, true]);
});

it('sees it also when the exec came before the first look, and after the process has ended', () => {
  const path = world.segment('10-5.seg', { runId: 'abc' });
  world.process(10, { start: 5, code: 2, maps: PROGRAM });
  const watch = watchOf('abc');
  watch.look();
  world.process(10, { start: 6 });
  watch.look();
  expect(watch.hasExecuted(path)).toBe(true);
});

it('reads the mappings of a process once per program', () => {
  const path = world.segment('10-5.seg', { runId: 'abc' });
  world.process(10, { start: 5, code: 1, maps: mapsOf(path) });
  const watch = watchOf('abc');
  watch.look();
  world.write('proc/10/maps', PROGRAM);
  watch.look();
  expect(watch.hasExecuted(path)).toBe(false);
});

it.each([
  ['is just ending and has nothing mapped', { start: 5, code: 1, maps: '' }],
  ['has ended and is not waited for', { start: 5, code: 1, state: 'Z', maps: PROGRAM }],
  ['has ended, and its pid is used again', { start: 6, code: 1, maps: PROGRAM }],
  ['does not let us see its mappings', { start: 5, code: 1 }],
])('does not take a process for another program that %s', (_, fake) => {
  const path = world.segment('10-5.seg', { runId: 'abc' });
  world.process(10, fake);
  const watch = watchOf('abc');
  watch.look();
  expect(watch.hasExecuted(path)).toBe(false);
});

it('takes a segment of the same name for another one: under --follow the next program makes its own', () => {
  const path = world.segment('10-5.seg', { runId: 'abc' });
  world.process(10, { start: 5, code: 2, maps: PROGRAM });
  const watch = watchOf('abc');
  watch.look();
  rmSync(path);
  world.write('keeps/the/inode', '');
  world.segment('10-5.seg', { runId: 'abc' });
  world.process(10, { start: 5, code: 2, maps: mapsOf(path) });
  watch.look();
  expect([watch.hasExecuted(path), watch.removed]).toEqual([false, 0]);
});

it('counts segments of the run that are there no more, and no others', () => {
  const other = world.segment('10-1.seg', { runId: 'abcd' });
  const [gone] = [world.segment('11-1.seg', { runId: 'abc' }), world.segment('12-1.seg', { runId: 'abc' })];
  const watch = watchOf('abc');
  watch.look();
  expect(watch.removed).toBe(0);
  for (const path of [other, gone]) rmSync(path);
  watch.look();
  expect(watch.removed).toBe(1);
});

it('asks a segment again that was not laid out yet', () => {
  const path = world.segment('10-5.seg', { runId: 'abc' });
  const { segments } = world;
  const ready = segments.get(path);
  segments.set(path, codedError('SEGMENT_STARTING', ''));
  world.process(10, { start: 5, code: 2, maps: PROGRAM });
  const watch = watchOf('abc');
  watch.look();
  expect(watch.hasExecuted(path)).toBe(false);
  if (ready) segments.set(path, ready);
  watch.look();
  expect(watch.hasExecuted(path)).toBe(true);
});
