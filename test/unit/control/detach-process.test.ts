import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { detachProcess } from '../../../src/control/detach-process.js';
import { makeRequest } from '../../../src/control/request-file.js';
import { ATTACH_RESULT, codedError, FakeWorld, mapsLine } from '../../support/fake-world.js';
import { ATTACHED, PRELOADED, recordedProcess } from '../../support/profiled-process.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const detach = () => detachProcess(world.context(), world.native, 10, { trustSeccomp: false });

describe('a process that was attached to', () => {
  it('is paused first, and then has its hooks taken out', async () => {
    const segment = recordedProcess(world, 10, { library: ATTACHED });
    const wishes: string[] = [];
    world.attach = () => {
      wishes.push(world.native.readSegmentHeader(segment).wish);
      return ATTACH_RESULT;
    };
    expect(await detach()).toEqual({ how: 'injected', segment, injected: ATTACH_RESULT });
    expect(wishes).toEqual(['pause']);
    expect(world.attachRequests).toMatchObject([{ pid: 10, action: 'detach', rate: 0 }]);
  });

  it.each([
    ['NO_SAFE_POINT', 'no thread was found at a point where it may be stopped'],
    ['STOPPED', 'stopped by a signal, so that nothing can run in it'],
  ])('stays paused where the hooks cannot be taken out (%s)', async (code, why) => {
    const segment = recordedProcess(world, 10, { library: ATTACHED });
    world.attach = () => {
      throw codedError(code, '', '');
    };
    await expect(detach()).rejects.toMatchObject({
      message: `pid 10: recording is off, but the hooks are still in: ${why}`,
      hint: expect.stringMatching(/^They cost a few instructions a call\. .*Then: cgoprof detach 10$/),
      exitCode: 1,
    });
    expect(world.native.readSegmentHeader(segment).wish).toBe('pause');
  });

  it('is paused also where /proc says that it cannot run', async () => {
    const segment = recordedProcess(world, 10, { library: ATTACHED, state: 'T' });
    await expect(detach()).rejects.toThrow('recording is off, but the hooks are still in: stopped by a signal');
    expect(world.native.readSegmentHeader(segment).wish).toBe('pause');
    expect(world.attachRequests).toEqual([]);
  });

  it.each([
    ['detached from before', true],
    ['a fork of one', false],
  ])('and is %s is left as it is', async (_, hasSegment) => {
    const segment = hasSegment ? recordedProcess(world, 10, { library: ATTACHED, header: { state: 'paused' } }) : '';
    if (!hasSegment) world.process(10, { maps: ATTACHED });
    world.attach = () => {
      throw codedError('LIBRARY', 'not-attached', 'not-attached');
    };
    expect(await detach()).toEqual({ how: 'already', segment });
  });

  it('may be a fork, which has hooks and no segment', async () => {
    world.process(10, { maps: ATTACHED });
    expect(await detach()).toMatchObject({ how: 'injected', segment: '' });
  });

  it('lets a defect be one', async () => {
    recordedProcess(world, 10, { library: ATTACHED });
    world.attach = () => {
      throw new TypeError('wrong argument');
    };
    await expect(detach()).rejects.toThrow(new TypeError('wrong argument'));
  });
});

describe('a preloaded process', () => {
  it('is told to pause', async () => {
    const segment = recordedProcess(world, 10, { library: PRELOADED });
    expect(await detach()).toEqual({ how: 'asked', segment });
    expect(world.native.readSegmentHeader(segment).wish).toBe('pause');
    expect(world.attachRequests).toEqual([]);
  });

  it.each([{ state: 'paused' }, { wish: 'pause' }] as const)('that was, %j, is left alone', async (header) => {
    const segment = recordedProcess(world, 10, { library: PRELOADED, header });
    expect(await detach()).toEqual({ how: 'already', segment });
  });

  it('that has been asked to begin, and has not, is not asked any more', async () => {
    world.process(10, { maps: PRELOADED });
    makeRequest(world.context(), 10, undefined);
    expect(await detach()).toEqual({ how: 'withdrawn', segment: '' });
    expect(existsSync(world.path(`shm/cgoprof-${process.getuid?.()}/10-1.on`))).toBe(false);
    expect(await detach()).toEqual({ how: 'already', segment: '' });
  });
});

it('a process without the library is none to detach from', async () => {
  world.process(10, { maps: mapsLine('/srv/server', 1) });
  await expect(detach()).rejects.toThrow('pid 10: not profiled: libcgoprof.so is not loaded in it');
  await expect(detachProcess(world.context(), world.native, 11, { trustSeccomp: false })).rejects.toThrow(
    'pid 11: no such process',
  );
});
