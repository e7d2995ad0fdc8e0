import { statSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findSegments, segmentDirectories, segmentFiles } from '../../../src/collect/find-segments.js';
import { codedError, FakeWorld, mapsLine } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const uid = process.getuid?.() ?? 0;
const ownDirectory = (): string => world.path(`shm/cgoprof-${uid}`);
const refuse = (error: Error): void => {
  throw error;
};

describe('segmentDirectories', () => {
  it('are the own one and CGOPROF_DIR for a user', () => {
    world.segment('1-1.seg');
    world.write('shm/cgoprof-999999/1-1.seg', '');
    const context = world.context({ env: { CGOPROF_DIR: '/data/segments' }, uid });
    expect(segmentDirectories({ ...context, uid })).toContain(ownDirectory());
    expect(segmentDirectories(context)[0]).toBe('/data/segments');
    expect(segmentDirectories({ ...context, env: { CGOPROF_DIR: ownDirectory() } })).toEqual([ownDirectory()]);
  });

  it("are not those of users who don't own them, nor links", () => {
    world.write('shm/cgoprof-999999/1-1.seg', '');
    symlinkSync(world.path('lib'), world.path('shm/cgoprof-4242'));
    world.write('shm/other/1-1.seg', '');
    expect(segmentDirectories(world.context({ uid: 0 }))).toEqual([]);
    expect(segmentDirectories(world.context({ uid: 4242 }))).toEqual([]);
  });

  it('need not exist', () => {
    expect(segmentDirectories(world.context({ shmRoot: world.path('nowhere') }))).toEqual([]);
    expect(segmentFiles(world.context({ env: { CGOPROF_DIR: world.path('nowhere') } }))).toEqual([]);
  });
});

describe('findSegments', () => {
  it('tells the living from the dead by pid, start time and boot', () => {
    world.process(10, { start: 100 });
    world.process(20, { start: 205 });
    world.process(30, { start: 300 });
    world.process(40, { start: 400, state: 'Z' });
    const paths = {
      living: world.segment('10-100.seg'),
      reusedPid: world.segment('20-200.seg'),
      otherBoot: world.segment('30-300.seg', { bootId: 'ff'.repeat(16) }),
      zombie: world.segment('40-400.seg'),
    };
    const found = findSegments(world.context(), world.native, refuse);
    expect(Object.fromEntries(found.map(({ path, livePid }) => [path, livePid]))).toEqual({
      [paths.living]: 10,
      [paths.reusedPid]: undefined,
      [paths.otherBoot]: undefined,
      [paths.zombie]: undefined,
    });
  });

  it('tells a process from the program that it has executed since', () => {
    const gone = world.segment('10-100.seg', {}, 'other');
    const path = world.segment('10-100.seg');
    const context = world.context({ env: { CGOPROF_DIR: world.path('other') } });
    world.process(10, { start: 100, maps: mapsLine(path, statSync(path).ino) });
    const found = findSegments(context, world.native, refuse);
    expect(found.map(({ path, livePid }) => [path, livePid])).toEqual([
      [path, 10],
      [gone, undefined],
    ]);
  });

  it('finds segments elsewhere through the processes that map them, in their pid namespace', () => {
    const path = world.segment('1-500.seg', {}, 'container/shm');
    world.process(6000, { start: 500, innerPid: 1, maps: mapsLine(path, statSync(path).ino) });
    const throughRoot = `${world.procRoot}/6000/root${path}`;
    world.segments.set(throughRoot, world.segments.get(path) as never);
    expect(findSegments(world.context(), world.native, refuse)).toMatchObject([{ path: throughRoot, livePid: 6000 }]);
  });

  it('names a file once, and by the name that outlives its process', () => {
    const path = world.segment('10-100.seg');
    world.process(10, { start: 100, maps: mapsLine(path, statSync(path).ino) });
    expect(findSegments(world.context(), world.native, refuse)).toMatchObject([{ path, livePid: 10 }]);
  });

  it('passes by what it cannot read, and says so', () => {
    const good = world.segment('10-100.seg');
    world.segments.set(world.segment('11-100.seg'), codedError('SEGMENT_DAMAGED', 'too short'));
    world.write(`shm/cgoprof-${uid}/notes.txt`, '');
    world.write(`shm/cgoprof-${uid}/x-1.seg`, '');
    const warnings: string[] = [];
    const found = findSegments(world.context(), world.native, ({ message }) => warnings.push(message));
    expect(found.map(({ path }) => path)).toEqual([good]);
    expect(warnings).toEqual([`${ownDirectory()}/11-100.seg: a damaged segment (too short)`]);
  });
});
