import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { candidateFiles, findModuleFiles } from '../../../src/symbolize/module-files.js';
import { LIBRARY, MAIN } from '../../support/segment-fixture.js';

describe('candidates', () => {
  test('of a dead program on this machine: its path', () => {
    expect(candidateFiles(MAIN, { root: '' })).toEqual(['/srv/app']);
  });

  test('of a live one in a container: its root, the kernel’s links, our own file of that name', () => {
    expect(candidateFiles(MAIN, { root: '/proc/77/root', pid: 77 })).toEqual([
      '/proc/77/root/srv/app',
      '/proc/77/exe',
      '/proc/77/map_files/401000-480000',
      '/srv/app',
    ]);
  });

  test('/proc/PID/exe is the program only', () => {
    expect(candidateFiles(LIBRARY, { root: '', pid: 77 })).toEqual([
      '/usr/lib/libleak.so.1',
      '/proc/77/map_files/7f0000001000-7f0000008000',
    ]);
  });

  test('map_files has whole pages', () => {
    const module = { ...LIBRARY, textStart: 0x5a10n, textEnd: 0x6001n };
    expect(candidateFiles(module, { root: '', pid: 77 })[1]).toBe('/proc/77/map_files/5000-7000');
  });

  test('without a build id only the kernel’s links are certain: they come first', () => {
    expect(candidateFiles({ ...MAIN, buildId: '' }, { root: '', pid: 77 })).toEqual([
      '/proc/77/exe',
      '/proc/77/map_files/401000-480000',
      '/srv/app',
    ]);
  });

  test('of a program in a container our own file of that name is another, unless a build id tells that it is not', () => {
    const nameless = { ...MAIN, buildId: '' };
    expect(candidateFiles(MAIN, { root: '', elsewhere: true })).toEqual(['/srv/app']);
    expect(candidateFiles(nameless, { root: '', elsewhere: true })).toEqual([]);
    expect(candidateFiles(nameless, { root: '/proc/77/root', elsewhere: true })).toEqual(['/proc/77/root/srv/app']);
    expect(candidateFiles(nameless, { root: '/proc/77/root', elsewhere: false })).toContain('/srv/app');
  });

  test.each(['', 'relative/path', '/with\0nul', '[vdso]'])('a path like %j leads nowhere', (path) => {
    expect(candidateFiles({ ...LIBRARY, path }, { root: '/proc/77/root' })).toEqual([]);
  });
});

describe('files', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'module-files-'));
    mkdirSync(join(root, 'srv'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const module = { ...MAIN, path: '/srv/app-of-this-test' };

  test('that exist are kept, and the first is told from any other', async () => {
    const path = join(root, module.path);
    writeFileSync(path, 'ELF');
    const before = await findModuleFiles(module, { root });
    expect(before.paths).toEqual([path]);
    expect(before.identity).toMatch(/^file \/srv\/app-of-this-test 3 /);
    utimesSync(path, 1, 1);
    const after = await findModuleFiles(module, { root });
    expect(after.identity).not.toBe(before.identity);
  });

  test.each([
    ['missing', () => undefined, 'no such file or directory'],
    ['a device', (path: string) => symlinkSync('/dev/null', path), 'not a regular file'],
    ['a folder', (path: string) => mkdirSync(path), 'not a regular file'],
  ])('%s', async (_, make, problem) => {
    const path = join(root, module.path);
    make(path);
    // Both views name the same file here, so that its problem is the last one met.
    const files = await findModuleFiles({ ...module, path }, { root: '' });
    expect(files).toEqual({ paths: [], identity: '', writtenMs: 0, problem });
  });

  test('of a module without a path', async () => {
    const { problem } = await findModuleFiles({ ...module, path: '' }, { root });
    expect(problem).toBe('no absolute path is known');
  });
});
