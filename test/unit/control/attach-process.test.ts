import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as mapped from '../../../src/collect/mapped-segments.js';
import type { Context } from '../../../src/context.js';
import { attachProcess, PATIENCE_MS } from '../../../src/control/attach-process.js';
import type { InjectOptions } from '../../../src/control/inject.js';
import { ATTACH_RESULT, codedError, FakeWorld, mapsLine } from '../../support/fake-world.js';
import { ATTACHED, PRELOADED, recordedProcess } from '../../support/profiled-process.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  world.remove();
});

const attach = (options: Partial<InjectOptions> = {}, context: Partial<Context> = {}) =>
  attachProcess(world.context(context), world.native, 10, { trustSeccomp: false, ...options });

/** To the end of its patience. */
async function afterWaiting<T>(work: Promise<T>): Promise<T> {
  // A rejection must have its reader before time goes on.
  const settled = Promise.allSettled([work]);
  await vi.advanceTimersByTimeAsync(PATIENCE_MS);
  await settled;
  return work;
}

describe('a process without the library', () => {
  beforeEach(() => world.process(10, { maps: mapsLine('/srv/server', 1) }));

  it('has a thread stopped', async () => {
    const segment = world.segment('10-1.seg');
    world.attach = () => ({ ...ATTACH_RESULT, segment });
    const injected = { ...ATTACH_RESULT, segment };
    expect(await attach()).toEqual({ how: 'injected', recording: true, segment, injected });
    expect(world.attachRequests).toEqual([
      {
        pid: 10,
        action: 'attach',
        libraryPath: world.libraryPath,
        rate: 0,
        directory: '',
        deadlineMs: expect.any(Number),
        trustSeccomp: false,
        skipAccount: false,
      },
    ]);
  });

  it('gets what the person wished', async () => {
    await attach({ rate: 4099, trustSeccomp: true, skipAccount: true }, { env: { CGOPROF_DIR: '/var/tmp/own' } });
    expect(world.attachRequests).toMatchObject([
      { rate: 4099, trustSeccomp: true, skipAccount: true, directory: '/var/tmp/own' },
    ]);
  });

  it('gets no directory that is relative to ours', async () => {
    await attach({}, { env: { CGOPROF_DIR: 'own' } });
    expect(world.attachRequests).toMatchObject([{ directory: '' }]);
  });

  it('may have put its segment where only its own root leads', async () => {
    expect((await attach()).segment).toBe(`${world.procRoot}/10/root${ATTACH_RESULT.segment}`);
  });

  it('is left alone where somebody else was faster', async () => {
    let segment = '';
    world.attach = () => {
      segment = recordedProcess(world, 10, { library: ATTACHED, header: { attachments: 1 } });
      throw codedError('LIBRARY', 'recording', 'recording');
    };
    expect(await attach()).toEqual({ how: 'already', recording: true, segment });
  });

  it('is refused in words', async () => {
    world.attach = () => {
      throw codedError('STATIC', 'no PT_INTERP', '');
    };
    await expect(attach()).rejects.toThrow('pid 10: its executable is linked statically');
  });

  it('is refused without being touched where /proc says enough', async () => {
    world.process(10, { state: 'T' });
    await expect(attach()).rejects.toThrow('pid 10: stopped by a signal');
    await expect(attachProcess(world.context(), world.native, 11, { trustSeccomp: false })).rejects.toThrow(
      'pid 11: no such process',
    );
    expect(world.attachRequests).toEqual([]);
  });

  it('is refused without being touched where there is nothing to load', async () => {
    rmSync(world.libraryPath);
    await expect(attach()).rejects.toThrow(`${world.libraryPath}: the preload library is not built`);
    expect(world.attachRequests).toEqual([]);
  });
});

describe('a process that was attached to before', () => {
  it('has a thread stopped again, whether its segment says so', async () => {
    const segment = recordedProcess(world, 10, { library: ATTACHED, header: { state: 'paused', attachments: 1 } });
    world.attach = () => ({ ...ATTACH_RESULT, segment });
    expect(await attach({ rate: 1 })).toMatchObject({ how: 'injected', segment });
  });

  it('or was only told to pause, as nobody could take its hooks out', async () => {
    recordedProcess(world, 10, { library: ATTACHED, header: { wish: 'pause', attachments: 1 } });
    expect(await attach()).toMatchObject({ how: 'injected' });
  });

  it('or is a fork, which has none', async () => {
    world.process(10, { maps: ATTACHED });
    expect(await attach()).toMatchObject({ how: 'injected' });
  });

  it('is left alone while it records', async () => {
    const segment = recordedProcess(world, 10, { library: ATTACHED, header: { attachments: 1 } });
    expect(await attach()).toEqual({ how: 'already', recording: true, segment });
    expect(await attach({ rate: 1 })).toMatchObject({ how: 'already' });
    expect(world.attachRequests).toEqual([]);
  });

  it.each(['running', 'paused'] as const)('keeps its rate, %s or not', async (state) => {
    recordedProcess(world, 10, { library: ATTACHED, header: { state, sampleRate: 524288 } });
    await expect(attach({ rate: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('pid 10: its segment has --rate 524288'),
      exitCode: 1,
    });
    expect(world.attachRequests).toEqual([]);
  });
});

describe('a process whose segment is being set up', () => {
  const starting = codedError('SEGMENT_STARTING', 'starting');

  it('is waited for', async () => {
    const path = recordedProcess(world, 10, { library: ATTACHED, header: { attachments: 1 } });
    const seen = `${world.procRoot}/10/root${path}`;
    const finished = world.segments.get(seen) as never;
    world.segments.set(seen, starting);
    setTimeout(() => world.segments.set(seen, finished), 300);
    expect(await afterWaiting(attach())).toEqual({ how: 'already', recording: true, segment: path });
  });

  it('but not for ever', async () => {
    world.segments.set(`${world.procRoot}/10/root${recordedProcess(world, 10, { library: ATTACHED })}`, starting);
    await expect(afterWaiting(attach())).rejects.toThrow('the process has not finished setting it up');
  });
});

describe('a preloaded process that was paused', () => {
  const PAUSED = { library: PRELOADED, header: { state: 'paused', wish: 'pause' } } as const;

  it('is told to go on, and nothing else', async () => {
    const path = recordedProcess(world, 10, PAUSED);
    world.onWish = () => setTimeout(() => world.setHeader(path, { state: 'running' }), 300);
    expect(await afterWaiting(attach())).toEqual({ how: 'resumed', recording: true, segment: path });
    expect(world.native.readSegmentHeader(path).wish).toBe('record');
    expect(world.attachRequests).toEqual([]);
  });

  it('may take longer', async () => {
    const path = recordedProcess(world, 10, PAUSED);
    expect(await afterWaiting(attach())).toEqual({ how: 'resumed', recording: false, segment: path });
  });

  it('goes on at once if it had not seen the wish', async () => {
    recordedProcess(world, 10, { library: PRELOADED, header: { wish: 'pause' } });
    expect(await attach()).toMatchObject({ how: 'resumed', recording: true });
  });

  it('need not be running', async () => {
    recordedProcess(world, 10, { ...PAUSED, state: 'T' });
    expect(await afterWaiting(attach())).toMatchObject({ recording: false });
  });

  it('keeps its rate', async () => {
    recordedProcess(world, 10, PAUSED);
    await expect(attach({ rate: 4099 })).rejects.toThrow('its segment has --rate 1,');
  });

  it('that is ending is past it', async () => {
    recordedProcess(world, 10, { library: PRELOADED, header: { state: 'exited' } });
    await expect(attach()).rejects.toThrow('pid 10: it is ending');
  });

  it('may have a segment that cannot be told', async () => {
    recordedProcess(world, 10, PAUSED);
    world.onWish = (path) => {
      throw codedError('SEGMENT_VERSION', `${path}: ABI 2.0`);
    };
    await expect(attach()).rejects.toMatchObject({ message: expect.stringContaining('another cgoprof version') });
  });

  it('may have lost its segment', async () => {
    world.process(10, { maps: PRELOADED + mapsLine('/gone/10-1.seg', 999_999) });
    await expect(attach()).rejects.toMatchObject({
      message: 'pid 10: its segment /gone/10-1.seg was deleted',
      hint: expect.stringContaining('sudo cgoprof attach 10'),
    });
  });
});

describe('a preloaded process in which the library is dormant', () => {
  const requestOf = () => world.path(`shm/cgoprof-${process.getuid?.()}/10-1.on`);

  it('is asked to begin', async () => {
    world.process(10, { maps: PRELOADED });
    let content = '';
    const path = world.segment('10-1.seg');
    rmSync(world.path(`shm/cgoprof-${process.getuid?.()}`), { recursive: true });
    setTimeout(() => {
      content = readFileSync(requestOf(), 'utf8');
      rmSync(requestOf());
    }, 300);
    setTimeout(() => recordedProcess(world, 10, { library: PRELOADED }), 500);
    const asked = afterWaiting(attach({ rate: 4099 }));
    expect(await asked).toEqual({ how: 'asked', recording: true, segment: path });
    expect(content).toBe('4099\n');
    expect(world.attachRequests).toEqual([]);
  });

  it('may take longer', async () => {
    world.process(10, { maps: PRELOADED });
    expect(await afterWaiting(attach())).toEqual({ how: 'asked', recording: false, segment: '' });
    expect(existsSync(requestOf())).toBe(true);
  });

  it('may fail to', async () => {
    world.process(10, { maps: PRELOADED });
    setTimeout(() => {
      rmSync(requestOf());
      world.process(10, { maps: PRELOADED + mapsLine('/memfd:cgoprof-failed-dormant-allocator (deleted)', 9) });
    }, 300);
    await expect(afterWaiting(attach())).rejects.toThrow(
      'pid 10: not profiled: its allocator has functions of its own',
    );
  });

  it('may end', async () => {
    world.process(10, { maps: PRELOADED });
    setTimeout(() => rmSync(world.path('proc/10'), { recursive: true }), 300);
    await expect(afterWaiting(attach())).rejects.toThrow('pid 10: no such process: it has ended');
  });

  it('is not asked where it has said why it cannot', async () => {
    world.process(10, { maps: PRELOADED + mapsLine('/memfd:cgoprof-failed-no-room (deleted)', 9) });
    await expect(attach()).rejects.toThrow('it could not make a segment: there was no room for it');
  });

  it('is not asked where it is a fork of one that records', async () => {
    recordedProcess(world, 9, { library: PRELOADED, code: 7 });
    world.process(10, { maps: PRELOADED, parent: 9, code: 7 });
    await expect(attach()).rejects.toThrow('pid 10: not profiled: a fork of pid 9, of which alone is recorded');
    expect(existsSync(requestOf())).toBe(false);
  });
});

describe('a process whose mappings cannot be read', () => {
  beforeEach(() => world.process(10));

  it.each([
    ['EACCES', 'pid 10: it belongs to another user'],
    ['EPERM', 'pid 10: it belongs to another user'],
    ['ESRCH', 'pid 10: no such process: it has ended'],
    ['ENOENT', 'pid 10: no such process: it has ended'],
    ['EMFILE', 'EMFILE'],
  ])('for %s', async (code, message) => {
    world.process(10, { status: { Uid: '7\t7\t7\t7' } });
    vi.spyOn(mapped, 'mappedSegments').mockImplementation(() => {
      throw codedError(code, code);
    });
    await expect(attach({}, { uid: 1000 })).rejects.toThrow(message);
  });
});

it('of several segments the newest counts', async () => {
  const paths = ['10-1.seg', '10-2.seg'].map((name, i) =>
    world.segment(name, { createdUnixNs: BigInt(i), state: i === 0 ? 'running' : 'paused' }),
  );
  for (const path of paths) world.segments.set(`${world.procRoot}/10/root${path}`, world.segments.get(path) as never);
  const maps = paths.map((path) => mapsLine(path, statSync(path).ino)).join('');
  world.process(10, { maps: ATTACHED + maps });
  expect(await attach()).toMatchObject({ how: 'injected' });
});
