import { statSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as mapped from '../../../src/collect/mapped-segments.js';
import { fileSystemRoot, resolveTarget } from '../../../src/collect/target.js';
import { codedError, FakeWorld, mapsLine } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => {
  vi.restoreAllMocks();
  world.remove();
});

const resolve = (target: string) => resolveTarget(world.context(), world.native, target);

/** A process with a segment mapped, as the addon finds it through the process's root. */
function profiled(pid: number, ...names: string[]): string[] {
  const paths = names.map((name) => world.segment(name, { createdUnixNs: BigInt(name.match(/-(\d+)/)?.[1] ?? 0) }));
  world.process(pid, { start: 1, maps: paths.map((path) => mapsLine(path, statSync(path).ino)).join('') });
  return paths.map((path) => {
    const throughRoot = `${world.procRoot}/${pid}/root${path}`;
    world.segments.set(throughRoot, world.segments.get(path) as never);
    return throughRoot;
  });
}

describe('a pid', () => {
  it('means the segment that the process has mapped', () => {
    const [path] = profiled(10, '10-1.seg');
    expect(resolve('10')).toMatchObject({ path, livePid: 10 });
    expect(world.err).toBe('');
  });

  it('means its newest segment when it has several, and says so', () => {
    const [, newer] = profiled(10, '10-1.seg', '10-2.seg');
    expect(resolve('10')).toMatchObject({ path: newer, livePid: 10 });
    expect(world.err).toBe(`cgoprof: pid 10 has 2 segments; taking the newest, ${newer}\n`);
  });

  it('means the readable one of several', () => {
    const [older, newer = ''] = profiled(10, '10-1.seg', '10-2.seg');
    world.segments.set(newer, codedError('SEGMENT_STARTING', ''));
    expect(resolve('10')).toMatchObject({ path: older });
  });

  it('tells why its only segment cannot be read', () => {
    const [path = ''] = profiled(10, '10-1.seg');
    world.segments.set(path, codedError('SEGMENT_VERSION', 'ABI 2.0'));
    expect(() => resolve('10')).toThrow(`${path}: a segment of another cgoprof version (ABI 2.0)`);
  });

  it('that is dead means what it left behind, the newest', () => {
    world.segment('10-1.seg', { createdUnixNs: 5n });
    const newer = world.segment('10-2.seg', { createdUnixNs: 6n });
    world.segment('100-1.seg', { createdUnixNs: 7n });
    expect(resolve('10')).toMatchObject({ path: newer, livePid: undefined });
  });

  it('that is a zombie is dead', () => {
    world.process(10, { state: 'Z', maps: '' });
    const path = world.segment('10-1.seg');
    expect(resolve('10')).toMatchObject({ path, livePid: undefined });
  });

  it.each(['ENOENT', 'ESRCH'])('that ends while we look (%s) is dead', (code) => {
    world.process(10);
    const path = world.segment('10-1.seg');
    vi.spyOn(mapped, 'mappedSegments').mockImplementation(() => {
      throw codedError(code, '');
    });
    expect(resolve('10')).toMatchObject({ path, livePid: undefined });
  });

  it('that never was is an error', () => {
    expect(() => resolve('10')).toThrow('pid 10: no such process, and none of that pid left a segment behind');
  });

  it('that is not profiled is an error that says how to start it', () => {
    world.process(10, { maps: mapsLine('/srv/app', 5) });
    expect(() => resolve('10')).toThrow(
      expect.objectContaining({
        message: 'pid 10: not profiled: libcgoprof.so is not loaded in it',
        hint: "Attach to it: cgoprof attach 10; or start it as 'cgoprof run -- COMMAND'.",
      }),
    );
  });

  it('that is ending is dead: what it had mapped is gone, or its list ends early', () => {
    const path = world.segment('10-1.seg');
    world.process(10, { start: 1, code: 0, maps: mapsLine('/srv/server', 1) });
    expect(resolve('10')).toMatchObject({ path, livePid: undefined });
  });

  it('that executed another program is an error that leads to what it left', () => {
    const path = world.segment('10-1.seg');
    world.process(10, { start: 1, maps: mapsLine('/srv/other', 1) });
    expect(() => resolve('10')).toThrow(
      expect.objectContaining({
        message: 'pid 10: not profiled any more: it has executed another program, without libcgoprof.so',
        hint: expect.stringContaining(`cgoprof heap ${path};`),
      }),
    );
  });

  it.each([
    ['of another process with that pid', '10-2.seg', {}],
    ['of another boot', '10-1.seg', { bootId: '' }],
    ['that cannot be read', '10-1.seg', undefined],
  ])('with a segment %s has not executed anything', (_, name, header) => {
    const path = world.segment(name, header);
    if (header === undefined) world.segments.set(path, codedError('SEGMENT_DAMAGED', ''));
    world.process(10, { start: 1, maps: mapsLine('/srv/other', 1) });
    expect(() => resolve('10')).toThrow('pid 10: not profiled: libcgoprof.so is not loaded in it');
  });

  it.each([
    ['no-room', 'there was no room for it'],
    ['file-system', 'its directory lies on a file system that may run out of room for pages that were taken'],
    ['something-new', "its library says 'something-new'"],
  ])('that could not start, %s, is another', (word, why) => {
    world.process(10, {
      maps: mapsLine('/lib/libcgoprof.so', 1) + mapsLine(`/memfd:cgoprof-failed-${word} (deleted)`, 2),
    });
    const message = `pid 10: not profiled: it could not make a segment: ${why}`;
    expect(() => resolve('10')).toThrow(expect.objectContaining({ message }));
  });

  it('in which the library is dormant is another', () => {
    const environ = ['LD_PRELOAD=/opt/libcgoprof.so', 'CGOPROF_PROFILE=server'];
    world.process(10, { maps: mapsLine('/opt/libcgoprof.so', 5), environ });
    symlinkSync('/bin/sh', world.path('proc/10/exe'));
    expect(() => resolve('10')).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^pid 10: libcgoprof.so is loaded but dormant/),
        hint: expect.stringMatching(/^Switch it on: cgoprof attach 10\..*--profile NAME/),
      }),
    );
  });

  it('that has hooks but no segment is another', () => {
    world.process(10, { maps: mapsLine('/memfd:libcgoprof.so (deleted)', 5) });
    expect(() => resolve('10')).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^pid 10: not profiled: libcgoprof.so is loaded, but records nothing/),
        hint: 'Attach to it: cgoprof attach 10',
      }),
    );
  });

  it('whose segment was deleted is another', () => {
    world.process(10, { maps: mapsLine('/gone/10-1.seg', 987_654) });
    expect(() => resolve('10')).toThrow('pid 10: its segment /gone/10-1.seg was deleted');
  });

  // The hint names no command: `serve` and others look at processes as well.
  it.each([
    ['EACCES', 1000, 1001, /another user$/, /^Look at it as that user, or as root, with sudo\.$/],
    ['EPERM', 1000, 1000, /closed to its own user/, /^Look at it as root\.$/],
    ['EACCES', 0, 1000, /does not let this root look at it$/, /^Root needs CAP_SYS_PTRACE for it/],
  ])('that the kernel closes (%s) to user %i and belongs to %i is another', (code, uid, owner, message, hint) => {
    world.process(10, { status: { Uid: `${owner} ${owner} ${owner} ${owner}` } });
    vi.spyOn(mapped, 'mappedSegments').mockImplementation(() => {
      throw codedError(code, '');
    });
    expect(() => resolveTarget(world.context({ uid }), world.native, '10')).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), hint: expect.stringMatching(hint) }),
    );
  });

  it('is not guessed at after any other error', () => {
    world.process(10);
    const error = codedError('EMFILE', 'too many');
    vi.spyOn(mapped, 'mappedSegments').mockImplementation(() => {
      throw error;
    });
    expect(() => resolve('10')).toThrow(error);
  });
});

describe('a file', () => {
  it('is taken as it is', () => {
    const path = world.segment('10-1.seg');
    expect(resolve(path)).toMatchObject({ path, livePid: undefined });
  });

  it('is known to be of a living process', () => {
    const path = world.segment('10-1.seg');
    world.process(10, { start: 1 });
    expect(resolve(path)).toMatchObject({ path, livePid: 10 });
  });

  it('that is not there is an error', () => {
    expect(() => resolve('./nothing.seg')).toThrow('./nothing.seg: no such file');
  });
});

it('fileSystemRoot is the process’s own while it lives', () => {
  expect(fileSystemRoot({ procRoot: '/proc' }, 12)).toBe('/proc/12/root');
  expect(fileSystemRoot({ procRoot: '/proc' }, undefined)).toBe('');
});
