import { Profile, StringTable } from 'pprof-format';
import { expect, test } from 'vitest';
import { otherProcessNote, otherProgramNote, programOf } from '../../../src/merge/same-program.js';
import { LIBRARY, MAIN, symbolizedSegment } from '../../support/segment-fixture.js';

function goProfileOf(path: string, buildId: string) {
  const stringTable = new StringTable();
  const mapping = [{ id: 1, filename: stringTable.dedup(path), buildId: stringTable.dedup(buildId) }];
  return programOf(new Profile({ stringTable, mapping }));
}

const segmentOf = (...modules: (typeof MAIN)[]) => symbolizedSegment({ modules, buckets: [] }).segment;

test('the same build id is the same program, wherever it lies', () => {
  expect(otherProgramNote(goProfileOf('/elsewhere/renamed', MAIN.buildId), [segmentOf(MAIN)])).toBeUndefined();
});

test('another build id is another program, whatever its name', () => {
  expect(otherProgramNote(goProfileOf('/srv/app', 'ffff'), [segmentOf(MAIN)])).toBe(
    'the Go profile is of another program or build (/srv/app) than the C side (/srv/app)',
  );
});

test('without build ids the names decide', () => {
  expect(otherProgramNote(goProfileOf('/proc/self/root/app', ''), [segmentOf(MAIN)])).toBeUndefined();
  expect(otherProgramNote(goProfileOf('/srv/other', ''), [segmentOf(MAIN)])).toContain('/srv/other');
  expect(otherProgramNote(goProfileOf('', ''), [segmentOf(MAIN)])).toBeUndefined();
});

test('one of several processes is enough, and libraries are no programs', () => {
  const other = { ...MAIN, path: '/srv/helper', buildId: 'cc03' };
  expect(otherProgramNote(goProfileOf('/srv/app', MAIN.buildId), [segmentOf(other), segmentOf(MAIN)])).toBeUndefined();
  expect(otherProgramNote(goProfileOf('/lib/x.so', LIBRARY.buildId), [segmentOf(MAIN, LIBRARY)])).toContain(
    '/lib/x.so',
  );
});

test('nothing is said where nothing is known', () => {
  expect(otherProgramNote(programOf(new Profile({})), [segmentOf(MAIN)])).toBeUndefined();
  expect(otherProgramNote(goProfileOf('/srv/app', 'ffff'), [segmentOf(LIBRARY)])).toBeUndefined();
  expect(otherProgramNote(goProfileOf('/srv/app', 'ffff'), [])).toBeUndefined();
});

test('another command line may be that of another process; its words are not told', () => {
  const own = Buffer.from('./api\0-port\x006061');
  expect(otherProcessNote(Buffer.from('./api\0-port\x006061'), own, 4711)).toBeUndefined();
  const note = otherProcessNote(Buffer.from('./api\0-port\x006062'), own, 4711);
  expect(note).toContain('may be of another process than the C side');
  expect(note).toContain('pid 4711');
  expect(note).not.toMatch(/606|port/);
});
