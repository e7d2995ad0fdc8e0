import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CgoprofError } from '../../../src/errors.js';
import { OutputError, writeProfile } from '../../../src/present/write-profile.js';
import { goProfile } from '../../support/go-profile-fixture.js';

const PROFILE = goProfile({ samples: [{ stack: ['main.main@main.go:5'], values: [1, 2, 3, 4] }] });

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'write-profile-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true });
});

function holdsProfile(path: string): void {
  expect(gunzipSync(readFileSync(path))).toEqual(Buffer.from(PROFILE.encode()));
}

describe('a file', () => {
  test('is gzipped protobuf, and the only one', async () => {
    await writeProfile(PROFILE, join(dir, 'merged.pb.gz'));
    holdsProfile(join(dir, 'merged.pb.gz'));
    expect(readdirSync(dir)).toEqual(['merged.pb.gz']);
  });

  test('that is there is replaced, and keeps its mode', async () => {
    const path = join(dir, 'merged.pb.gz');
    writeFileSync(path, 'old');
    chmodSync(path, 0o600);
    const { ino } = statSync(path);
    await writeProfile(PROFILE, path);
    holdsProfile(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    // Replaced in one step: whoever has the old one open goes on reading it whole.
    expect(statSync(path).ino).not.toBe(ino);
  });

  test('behind a link is replaced there', async () => {
    writeFileSync(join(dir, 'real'), 'old');
    symlinkSync('real', join(dir, 'link'));
    await writeProfile(PROFILE, join(dir, 'link'));
    holdsProfile(join(dir, 'real'));
    expect(readdirSync(dir).sort()).toEqual(['link', 'real']);
  });
});

test('a device is written to, not replaced', async () => {
  symlinkSync('/dev/null', join(dir, 'null'));
  await writeProfile(PROFILE, join(dir, 'null'));
  expect(statSync(join(dir, 'null')).isCharacterDevice()).toBe(true);
});

describe('a path that cannot be written', () => {
  test.each<[string, () => string, string]>([
    ['a missing folder', () => join(dir, 'missing', 'merged.pb.gz'), 'no such file or directory'],
    ['a file for a folder', () => join(dir, 'file', 'merged.pb.gz'), 'not a directory'],
    ['a folder', () => join(dir, 'folder'), 'illegal operation on a directory'],
    ['a full device', () => '/dev/full', 'no space left on device'],
  ])('%s', async (_, path, reason) => {
    writeFileSync(join(dir, 'file'), 'old');
    mkdirSync(join(dir, 'folder'));
    const error = await writeProfile(PROFILE, path()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OutputError);
    expect(error).toBeInstanceOf(CgoprofError);
    expect((error as OutputError).message).toBe(`${path()}: ${reason}`);
    expect((error as OutputError).hint).toBe('Choose another file with -o FILE.');
    expect(readdirSync(dir).sort()).toEqual(['file', 'folder']);
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old');
  });
});

describe('-', () => {
  test('is stdout', async () => {
    const written: Uint8Array[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation(((bytes: Uint8Array, done: () => void) => {
      written.push(bytes);
      done();
      return true;
    }) as typeof process.stdout.write);
    const listeners = process.stdout.listenerCount('error');
    await writeProfile(PROFILE, '-');
    expect(gunzipSync(Buffer.concat(written))).toEqual(Buffer.from(PROFILE.encode()));
    expect(process.stdout.listenerCount('error')).toBe(listeners);
    expect(existsSync('-')).toBe(false);
  });

  test('a reader that went away is an error, heard twice and told once', async () => {
    const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: -32 });
    vi.spyOn(process.stdout, 'write').mockImplementation(((_: Uint8Array, done: (error: Error) => void) => {
      process.stdout.emit('error', broken);
      done(broken);
      return false;
    }) as typeof process.stdout.write);
    await expect(writeProfile(PROFILE, '-')).rejects.toThrow('stdout: broken pipe');
  });
});
