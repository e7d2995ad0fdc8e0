import { symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whyIdle } from '../../../src/collect/idle-library.js';
import { type FakeProcess, FakeWorld, GO_PROGRAM, mapsLine } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const LIBRARY = mapsLine('/opt/libcgoprof.so', 5);
const PRELOADED = 'LD_PRELOAD=/opt/other.so:/opt/libcgoprof.so';
const RECORDS_NOTHING = 'pid 10: not profiled: libcgoprof.so is loaded but records nothing, and has not said why';
const dormant = (profile: string): string =>
  `pid 10: libcgoprof.so is loaded but dormant: CGOPROF_PROFILE=${profile} does not choose this process`;
const chosen = (profile: string): string =>
  `pid 10: not profiled: libcgoprof.so is loaded and CGOPROF_PROFILE=${profile} chooses it, but it has made no segment, ` +
  'and has not said why';

/** What is said of process 10. */
function said(fake: FakeProcess, executable = '/srv/server', isGo = false): string {
  world.process(10, { maps: LIBRARY, ...fake });
  symlinkSync(executable, world.path('proc/10/exe'));
  world.executables.set(world.path('proc/10/exe'), { ...GO_PROGRAM, isGo });
  return whyIdle(world.context(), world.native, 10).message;
}

describe('a process with the environment that loads the library', () => {
  it.each([
    ['go', [], false],
    ['go', ['CGOPROF_PROFILE='], false],
    ['go', ['CGOPROF_PROFILE=go', 'CGOPROF_PROFILE=all'], false],
    ['worker', ['CGOPROF_PROFILE=worker'], true],
  ])('is dormant if CGOPROF_PROFILE, %s, does not choose it', (profile, environ, isGo) => {
    expect(said({ environ: [PRELOADED, ...environ] }, '/srv/server', isGo)).toBe(dormant(profile));
  });

  it.each([
    ['go', '/srv/server', true],
    ['all', '/srv/server', false],
    ['server', '/srv/server', false],
    ['server', '/srv/server (deleted)', false],
  ])('is not if that, %s, chooses it', (profile, executable, isGo) => {
    expect(said({ environ: [PRELOADED, `CGOPROF_PROFILE=${profile}`] }, executable, isGo)).toBe(chosen(profile));
  });

  it('is not said to be if its executable cannot be seen', () => {
    world.process(10, { maps: LIBRARY, environ: [PRELOADED] });
    expect(whyIdle(world.context(), world.native, 10).message).toBe(RECORDS_NOTHING);
  });
});

it.each([
  ['which the library has taken itself out of', ['LD_PRELOAD=/opt/other.so', 'CGOPROF_PROFILE=worker']],
  ['which has other libraries', ['LD_PRELOAD=/opt/notlibcgoprof.so', 'CGOPROF_PROFILE=worker']],
  ['which we may not see', undefined],
])('nothing is guessed from an environment %s', (_, environ) => {
  expect(said(environ ? { environ } : {})).toBe(RECORDS_NOTHING);
});

describe('a fork', () => {
  const FORKED = { start: 2, parent: 9, code: 7 };
  const forkOf = (pid: number): string => `pid 10: not profiled: a fork of pid ${pid}, of which alone is recorded`;
  const SEGMENT = mapsLine('/dev/shm/cgoprof-0/8-1.seg', 987_654);

  it('of a profiled process is told, whatever its environment', () => {
    world.process(9, { code: 7, maps: LIBRARY + SEGMENT });
    expect(said({ ...FORKED, environ: [PRELOADED] })).toBe(forkOf(9));
  });

  it('of a fork is one of the first', () => {
    world.process(8, { code: 7, maps: LIBRARY + SEGMENT });
    world.process(9, { code: 7, parent: 8, maps: LIBRARY });
    expect(said(FORKED)).toBe(forkOf(8));
  });

  it.each([
    ['that has executed another program', { code: 6, maps: LIBRARY + SEGMENT }],
    ['of a process that is not profiled', { code: 7, maps: LIBRARY, parent: 9 }],
    ['of a process whose mappings we may not see', { code: 7 }],
  ])('%s is none of a profiled process', (_, parent) => {
    world.process(9, parent);
    expect(said(FORKED)).toBe(RECORDS_NOTHING);
  });
});
