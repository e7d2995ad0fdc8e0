import { statSync, symlinkSync, unlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mappedSegments, parseMappedFiles } from '../../../src/collect/mapped-segments.js';
import { FakeWorld, mapsLine } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

const inode = (path: string): number => statSync(path).ino;

describe('parseMappedFiles', () => {
  it('takes each file once and leaves out what is no file', () => {
    const maps = [
      '00400000-00401000 r-xp 00000000 fe:00 11                         /srv/my app',
      '00401000-00402000 rw-p 00001000 fe:00 11                         /srv/my app',
      '7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ',
      '7f0000001000-7f0000002000 rw-p 00000000 00:00 0                  [heap]',
      '7f0000002000-7f0000003000 rw-s 00000000 00:1a 12                 /dev/shm/cgoprof-0/1-2.seg (deleted)',
      'nonsense',
      '',
    ].join('\n');
    expect(parseMappedFiles(maps)).toEqual([
      { range: '00400000-00401000', inode: 11, path: '/srv/my app' },
      { range: '7f0000002000-7f0000003000', inode: 12, path: '/dev/shm/cgoprof-0/1-2.seg' },
    ]);
  });
});

describe('mappedSegments', () => {
  it('opens a segment through the root of its process', () => {
    const path = world.segment('7-1.seg');
    world.process(7, { maps: mapsLine(path, inode(path)) + mapsLine('/opt/lib/libcgoprof.so', 5) });
    expect(mappedSegments(world.procRoot, 7)).toEqual({
      paths: [`${world.procRoot}/7/root${path}`],
      lost: [],
      library: 'preloaded',
      failure: undefined,
      ending: false,
    });
  });

  it('takes the name as it is when the process lives in a chroot', () => {
    const path = world.segment('7-1.seg');
    world.process(7, { maps: mapsLine(path, inode(path)) });
    unlinkSync(world.path('proc/7/root'));
    symlinkSync(world.path('lib'), world.path('proc/7/root'));
    expect(mappedSegments(world.procRoot, 7).paths).toEqual([path]);
  });

  it('goes through map_files when the name leads to another file', () => {
    const path = world.segment('7-1.seg');
    const other = world.write('proc/7/map_files/7f0000000000-7f0000001000', 'the deleted one');
    world.process(7, { maps: mapsLine(`${path} (deleted)`, inode(other)) });
    expect(mappedSegments(world.procRoot, 7).paths).toEqual([other]);
  });

  it('says what it cannot reach', () => {
    world.process(7, { maps: mapsLine('/gone/7-1.seg', 999_999) });
    expect(mappedSegments(world.procRoot, 7)).toEqual({
      paths: [],
      lost: ['/gone/7-1.seg'],
      library: 'none',
      failure: undefined,
      ending: false,
    });
  });

  it('tells a library that was attached from one that was preloaded', () => {
    const attached = mapsLine('/memfd:libcgoprof.so (deleted)', 5);
    const preloaded = mapsLine('/opt/libcgoprof.so.0', 6);
    const libraryOf = (maps: string) => {
      world.process(7, { maps });
      return mappedSegments(world.procRoot, 7).library;
    };
    expect([attached, preloaded, attached + preloaded, ''].map(libraryOf)).toEqual([
      'attached',
      'preloaded',
      'preloaded',
      'none',
    ]);
  });

  it('is not taken in by other files', () => {
    world.process(7, {
      maps:
        mapsLine('/data/index.seg', 5) + mapsLine('/lib/libcgoprofit.so', 6) + mapsLine('/memfd:libcgoprof.so.1', 7),
    });
    expect(mappedSegments(world.procRoot, 7)).toEqual({
      paths: [],
      lost: [],
      library: 'none',
      failure: undefined,
      ending: false,
    });
  });

  it('throws what the system says', () => {
    expect(() => mappedSegments(world.procRoot, 8)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});
