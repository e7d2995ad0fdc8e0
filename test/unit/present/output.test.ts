import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cProfile } from '../../../src/merge/c-profile.js';
import { parseHeapProfile } from '../../../src/merge/go-profile.js';
import { mergeProfiles } from '../../../src/merge/merge-profiles.js';
import { checkOutput, inUseBytes, presentProfile } from '../../../src/present/output.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

describe('checkOutput', () => {
  const check =
    (output: string, stdoutIsTerminal = false) =>
    () =>
      checkOutput({ stdoutIsTerminal }, output);

  it('lets through what can be written', () => {
    expect(check(world.path('new.pb.gz'))).not.toThrow();
    expect(check(world.write('old.pb.gz', 'x'))).not.toThrow();
    expect(check('/dev/null')).not.toThrow();
    expect(check('-')).not.toThrow();
  });

  it('refuses no name', () => {
    expect(check('')).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  it('refuses a terminal', () => {
    expect(check('-', true)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  it.each([
    ['nowhere/x.pb.gz', 'cannot be written: no such file or directory'],
    ['old.pb.gz/x.pb.gz', 'cannot be written: not a directory'],
    ['directory', 'is a directory'],
    ['new-directory/', 'is a directory'],
  ])('refuses %s', (name, why) => {
    world.write('old.pb.gz', 'x');
    mkdirSync(world.path('directory'));
    const path = world.path(name);
    expect(check(path)).toThrow(
      expect.objectContaining({ message: `${path}: ${why}`, hint: 'Choose another file with -o FILE.', exitCode: 1 }),
    );
  });
});

/** 97 and 89 bytes in use by C, 1,000,003 by Go. */
function merged(): Profile {
  const counts = { allocs: 1, frees: 0, freeBytes: 0 };
  const c = symbolizedSegment({
    buckets: [
      { stack: ['leak@a.c:1', 'main.main@main.go:2'], ...counts, allocBytes: 97 },
      { stack: ['other@a.c:3', 'main.main@main.go:2'], ...counts, allocBytes: 89 },
    ],
  });
  const go = goProfile({ samples: [{ stack: ['main.grow@main.go:9'], values: [1, 1_000_003, 1, 1_000_003] }] });
  return mergeProfiles({
    go: [parseHeapProfile(go.encode(), 'go')],
    c: [cProfile(c, { showPlumbing: false })],
  });
}

it('inUseBytes tells the two sides apart', () => {
  expect(inUseBytes(merged())).toEqual({ c: 186, go: 1_000_003 });
});

it('presentProfile writes the file and one line', async () => {
  const path = world.path('merged.pb.gz');
  await presentProfile(world.context(), merged(), path);
  const written = Profile.decode(gunzipSync(await readFile(path)));
  expect(inUseBytes(written)).toEqual({ c: 186, go: 1_000_003 });
  expect(world.err).toBe(
    `cgoprof: wrote ${path}: 186 B in use by C, 976.6 KiB by Go; look at it: go tool pprof ${path}\n`,
  );
  expect(world.out).toBe('');
});
