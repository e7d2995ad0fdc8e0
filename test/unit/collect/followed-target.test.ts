import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { endNote, FollowedTarget } from '../../../src/collect/followed-target.js';
import type { TargetKind } from '../../../src/collect/target-name.js';
import { NoProcessYet, targetSource } from '../../../src/collect/target-sources.js';
import { CgoprofError } from '../../../src/errors.js';
import { FakeWorld, mapsLine } from '../../support/fake-world.js';
import { heldSegments } from '../../support/held-segments.js';
import { PRELOADED, recordedProcess } from '../../support/profiled-process.js';

let world: FakeWorld;
let followed: FollowedTarget | undefined;
beforeEach(() => {
  world = new FakeWorld();
  vi.useFakeTimers({ toFake: ['performance', 'Date'], now: new Date('2026-11-22T03:06:00Z') });
  symlinkSync('/proc/self', `${world.procRoot}/self`);
  // What the addon finds behind a descriptor is what it finds in the file.
  world.readUnknown = (path) => {
    const segment = deleted.get(readlinkSync(path)) ?? world.segments.get(readlinkSync(path));
    if (segment === undefined || segment instanceof Error) throw new Error(`no segment behind ${path}`);
    return segment;
  };
});
afterEach(() => {
  followed?.close();
  deleted.clear();
  vi.useRealTimers();
  world.remove();
});

/** What descriptors lead to once a file is gone. */
const deleted = new Map<string, never>();

/** Removes a segment as `run` does; who holds it has it. */
function remove(path: string): void {
  deleted.set(`${path} (deleted)`, world.segments.get(path) as never);
  world.segments.delete(path);
  rmSync(path);
}

function follow(text: string, kind: TargetKind): FollowedTarget {
  const context = world.context();
  const source = targetSource(context, world.native, { name: undefined, text, kind });
  followed = new FollowedTarget(context, world.native, 'api', source);
  return followed;
}

let created = 1_700_000_000_000_000_000n;

/** A profiled process with an executable of that name. */
function profiled(pid: number, program: string, fake: { start?: number; code?: number } = {}): string {
  created += 1_000_000_000n;
  const { start = 1 } = fake;
  const header = { pid, startTimeTicks: BigInt(start), createdUnixNs: created, exePath: `/srv/${program}` };
  const path = recordedProcess(world, pid, { library: PRELOADED, header, ...fake });
  rmSync(`${world.procRoot}/${pid}/exe`, { force: true });
  symlinkSync(`/srv/${program}`, `${world.procRoot}/${pid}/exe`);
  return path;
}

const end = (pid: number): void => rmSync(`${world.procRoot}/${pid}`, { recursive: true });

/** Later by so many seconds. */
const later = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);

describe('a pid', () => {
  it('is one object while its process lives, and another once it has ended, which stays', () => {
    profiled(10, 'api');
    const target = follow('10', 'pid');
    const living = target.current();
    expect(living).toMatchObject({ livePid: 10, end: undefined });
    later(60);
    expect(target.current()).toBe(living);
    expect(endNote(living)).toBeUndefined();
    end(10);
    const ended = target.current();
    expect(ended).toMatchObject({ livePid: undefined, found: living.found, path: living.path });
    expect(ended.end).toEqual({ at: new Date('2026-11-22T03:07:00Z'), how: 'died' });
    later(60);
    expect(target.current()).toBe(ended);
    const note =
      'pid 10 has ended (killed, or by an exit of Go’s own) at 2026-11-22T03:07:00.000Z; this is what its segment holds';
    expect(endNote(ended)).toBe(note);
    expect(world.err).toBe(`cgoprof: api: ${note}\n`);
  });

  it('has the words with which it was started, after its end too', () => {
    profiled(10, 'api');
    world.write('proc/10/cmdline', './api\0-port\x006061\0');
    const target = follow('10', 'pid');
    const words = Buffer.from('./api\0-port\x006061');
    expect(target.current().words).toEqual(words);
    end(10);
    expect(target.current()).toMatchObject({ livePid: undefined, words });
  });

  it('is not taken for the process that gets it next', () => {
    const path = profiled(10, 'api', { start: 1 });
    const target = follow('10', 'pid');
    const { found } = target.current();
    remove(path);
    profiled(10, 'api', { start: 2 });
    for (let i = 0; i < 3; i++) {
      expect(target.current()).toMatchObject({ found, livePid: undefined, end: { how: 'died' } });
      later(2);
    }
  });

  it.each([
    ['Z', 'exited', 'exited'],
    ['X', 'running', 'died'],
  ] as const)('of state %s and a segment that says %s: %s', (state, said, how) => {
    const path = profiled(10, 'api');
    const target = follow('10', 'pid');
    target.current();
    world.setHeader(path, { state: said });
    world.process(10, { state });
    expect(target.current().end?.how).toBe(how);
  });

  it('that has given its memory back is ending, and has not executed another program', () => {
    profiled(10, 'api');
    const target = follow('10', 'pid');
    target.current();
    world.process(10, { code: 0, maps: '' });
    expect(target.current().end).toEqual({ at: new Date('2026-11-22T03:06:00Z'), how: 'died' });
  });

  it('that executes another program has ended, and is followed into the next program that is profiled', () => {
    const before = profiled(10, 'api', { code: 4096 });
    const target = follow('10', 'pid');
    const { found } = target.current();
    world.process(10, { code: 8192, maps: '' });
    expect(target.current()).toMatchObject({ found, livePid: undefined, end: { how: 'executed' } });
    later(1);
    expect(target.current().found).toBe(found);
    remove(before);
    profiled(10, 'api', { code: 8192 });
    expect(target.current().found).toBe(found); // Not looked at so soon again.
    later(1);
    expect(target.current()).toMatchObject({ livePid: 10, end: undefined });
    expect(target.current().found).not.toBe(found);
    expect(heldSegments(world.root)).toHaveLength(1);
  });

  it.each([
    ['/', false],
    ['/usr', true],
  ])('whose root is %s has ended there, too', (root, elsewhere) => {
    profiled(10, 'api');
    rmSync(`${world.procRoot}/10/root`);
    symlinkSync(root, `${world.procRoot}/10/root`);
    const target = follow('10', 'pid');
    expect(target.current()).toMatchObject({ livePid: 10, elsewhere });
    end(10);
    expect(target.current()).toMatchObject({ livePid: undefined, elsewhere });
  });

  it('that is not there is refused', () => {
    expect(() => follow('10', 'pid').current()).toThrow(CgoprofError);
    expect(() => follow('10', 'pid').current()).not.toThrow(NoProcessYet);
  });
});

describe('a name', () => {
  it('is waited for, a look at all processes a second', () => {
    const target = follow('api', 'pattern');
    expect(() => target.current()).toThrow('api: no such process runs');
    profiled(10, 'api');
    expect(() => target.current()).toThrow(NoProcessYet);
    later(1);
    expect(target.current()).toMatchObject({ livePid: 10 });
    expect(world.err).toBe('cgoprof: api: pid 10 is served now\n');
  });

  it('is looked for a twentieth of the time at most, where a look takes long', () => {
    const looks: number[] = [];
    const slow = () => {
      looks.push(performance.now());
      later(0.5);
      throw new NoProcessYet({ what: 'api', why: 'no such process runs' });
    };
    followed = new FollowedTarget(world.context(), world.native, 'api', slow);
    for (let asked = 0; asked < 250; asked++) {
      expect(() => followed?.current()).toThrow(NoProcessYet);
      later(0.1);
    }
    expect(looks.map((at) => at - (looks[0] ?? 0))).toEqual([0, 10_000, 20_000]);
  });

  it('that differs from a program that runs in case alone is said to', () => {
    profiled(10, 'api');
    profiled(11, 'API');
    expect(() => follow('Api', 'pattern').current()).toThrow(
      expect.objectContaining({
        message: 'Api: no such process runs',
        hint: expect.stringMatching(
          /^\S*(api|API), and 1 more, differs in upper and lower case alone\. It is served as/,
        ),
      }),
    );
  });

  it('that is a path without a file is said to be that', () => {
    expect(() => follow('/gone/api', 'pattern').current()).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/^There is no such file now, or it cannot be seen\. /) }),
    );
  });

  it('goes on to the next process of that name, and holds no segment but the last', () => {
    const target = follow('api', 'pattern');
    for (let pid = 10; pid < 30; pid++) {
      const path = profiled(pid, 'api');
      later(1);
      expect(target.current()).toMatchObject({ livePid: pid });
      end(pid);
      expect(target.current()).toMatchObject({ livePid: undefined, found: { header: { pid } } });
      remove(path);
      expect(world.native.readSegment(target.current().path).header.pid).toBe(pid);
      expect(heldSegments(world.root)).toHaveLength(1);
    }
    target.close();
    expect(heldSegments(world.root)).toEqual([]);
  });

  it('is not looked for any more once it is closed; who asks yet is told so', () => {
    profiled(10, 'api');
    const target = follow('10', 'pid');
    target.current();
    target.close();
    target.lookNow();
    expect(() => target.current()).toThrow(new CgoprofError({ what: 'api', why: 'is not served any more' }));
    expect(heldSegments(world.root)).toEqual([]);
  });

  it('goes on to the next at once, when that runs already', () => {
    profiled(10, 'api');
    const target = follow('api', 'pattern');
    expect(target.current()).toMatchObject({ livePid: 10 });
    profiled(11, 'api');
    expect(target.current()).toMatchObject({ livePid: 10 });
    end(10);
    expect(target.current()).toMatchObject({ livePid: 11 });
  });

  it('of several processes is the newest, which is said once', () => {
    profiled(12, 'api');
    profiled(10, 'api');
    profiled(11, 'other');
    const target = follow('api', 'pattern');
    expect(target.current().livePid).toBe(10);
    target.current();
    expect(world.err).toBe('cgoprof: api: 2 profiled processes match; taking the newest, pid 10\n');
  });

  it('is not a child that is still its parent, with the segment of that', () => {
    const path = profiled(10, 'api');
    world.process(11, { maps: PRELOADED + mapsLine(path, statSync(path).ino), parent: 10 });
    world.segments.set(`${world.procRoot}/11/root${path}`, world.segments.get(path) as never);
    symlinkSync('/srv/api', `${world.procRoot}/11/exe`);
    const target = follow('api', 'pattern');
    expect(target.current().livePid).toBe(10);
    expect(world.err).toBe(''); // Nor one of two that match.
    end(10);
    later(2);
    expect(target.current()).toMatchObject({ livePid: undefined, end: { how: 'died' } });
    expect(() => follow('api', 'pattern').current()).toThrow(NoProcessYet);
  });

  it('of processes that are not profiled says why', () => {
    world.process(10, { maps: '' });
    symlinkSync('/srv/api (deleted)', `${world.procRoot}/10/exe`);
    const target = follow('a?i', 'pattern');
    expect(() => target.current()).toThrow(
      /^a\?i: no process of it is profiled: pid 10: not profiled: libcgoprof\.so is not loaded in it$/,
    );
    world.process(11, { maps: '' });
    symlinkSync('/srv/ami', `${world.procRoot}/11/exe`);
    later(1);
    expect(() => target.current()).toThrow(/^a\?i: no process of it is profiled: pid 1[01]: .* \(and 1 more\)$/);
  });
});

describe('a segment file', () => {
  it('of a dead process has ended before, and has no next', () => {
    const path = world.segment('10-1.seg', { exePath: '/srv/api' });
    const target = follow(path, 'file');
    expect(target.current().end).toEqual({ at: undefined, how: 'died' });
    expect(world.err).toContain('has ended (killed, or by an exit of Go’s own) before it was served; this is');
    profiled(10, 'api');
    later(2);
    expect(target.current()).toMatchObject({ livePid: undefined });
  });

  it('of a living one is followed to its end', () => {
    const path = profiled(10, 'api');
    const target = follow(path, 'file');
    expect(target.current().livePid).toBe(10);
    end(10);
    expect(target.current()).toMatchObject({ livePid: undefined, end: { how: 'died' } });
  });

  it('that is replaced between the look and the opening is not held', () => {
    const path = world.segment('10-1.seg');
    const { native } = world;
    const other = { ...native.readSegmentHeader(path), createdUnixNs: 5n };
    const swapped = {
      ...native,
      readSegmentHeader: (name: string) => (name === path ? native.readSegmentHeader(name) : other),
    };
    const context = world.context();
    const target = new FollowedTarget(
      context,
      swapped,
      'api',
      targetSource(context, swapped, { name: undefined, text: path, kind: 'file' }),
    );
    expect(() => target.current()).toThrow(`${path}: was replaced while it was looked at`);
    expect(heldSegments(world.root)).toEqual([]);
  });

  it('in the place of which a FIFO has come is not waited for', () => {
    const path = world.segment('10-1.seg');
    rmSync(path);
    execFileSync('mkfifo', [path]);
    // Who waited would wait for a writer: one that comes late, lest the test wait for ever.
    const late = world.path('late');
    const writer = spawn('sh', ['-c', 'sleep 10; : >"$0"; : >"$1"', late, path], { detached: true });
    onTestFinished(() => void process.kill(-(writer.pid ?? 0)));
    follow(path, 'file').current();
    expect(existsSync(late)).toBe(false);
  });
});
