import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TokenFile } from '../../../src/serve/token-file.js';
import { NOBODY } from '../../support/cgoprof.js';

const TOKEN = '0123456789abcdef';
let root = '';
let said = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'token-'));
  said = '';
});
afterEach(() => rmSync(root, { recursive: true }));

function write(text: string, mode = 0o600): string {
  const path = join(root, 'token');
  rmSync(path, { force: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function open(path: string, uid = process.getuid?.() ?? 0): TokenFile {
  return new TokenFile({ uid, writeErr: (text) => (said += text) }, path);
}

test('the token is the file, without the space around it', () => {
  const file = open(write(`\n ${TOKEN}\n`));
  expect(file.accepts(TOKEN)).toBe(true);
  for (const other of ['', TOKEN.slice(1), `${TOKEN} `, TOKEN.toUpperCase()]) expect(file.accepts(other)).toBe(false);
});

test.each([
  ['0123456789abcde', 0o600, 'shorter than 16 characters'],
  ['', 0o600, 'shorter than 16 characters'],
  ['0123456789 abcdef', 0o600, 'not one word of ASCII characters'],
  [`${'x'.repeat(4097)}`, 0o600, 'longer than 4096 bytes'],
  [TOKEN, 0o604, 'others have access to it (mode 604); chmod 600 takes it away'],
  [TOKEN, 0o620, 'others have access to it (mode 620); chmod 600 takes it away'],
])('"%s" with mode %o is refused', (text, mode, why) => {
  const path = write(text, mode);
  expect(() => open(path)).toThrow(`--token-file ${path}: ${why}`);
});

test('a group may read it, as with a secret that is mounted', () => {
  expect(open(write(TOKEN, 0o640)).accepts(TOKEN)).toBe(true);
});

test('a directory is refused, and what is not there', () => {
  expect(() => open(root)).toThrow(`${root}: not a regular file`);
  expect(() => open(join(root, 'none'))).toThrow('none: no such file or directory');
});

test('the file of another user is refused, root’s is not', () => {
  const path = write(TOKEN);
  if (statSync(path).uid === 0) {
    expect(open(path, NOBODY).accepts(TOKEN)).toBe(true);
    chownSync(path, NOBODY, NOBODY);
  }
  const { uid } = statSync(path);
  expect(() => open(path, uid - 1)).toThrow(`${path}: the file of another user`);
  expect(open(path, uid).accepts(TOKEN)).toBe(true);
});

test('another token counts once it is there; the one before until then, and that is told once', () => {
  const path = write(TOKEN);
  const file = open(path);
  write('short');
  for (let i = 0; i < 3; i++) expect(file.accepts(TOKEN)).toBe(true);
  expect(said).toBe(
    `cgoprof: warning: --token-file ${path}: shorter than 16 characters; the token that was read before still counts\n`,
  );
  write('fedcba9876543210');
  expect(file.accepts(TOKEN)).toBe(false);
  expect(file.accepts('fedcba9876543210')).toBe(true);
});

test('what others had access to counts once they have none any more', () => {
  const path = write(TOKEN);
  const file = open(path);
  writeFileSync(path, 'fedcba9876543210x');
  chmodSync(path, 0o644);
  expect(file.accepts(TOKEN)).toBe(true);
  const changed = () => statSync(path, { bigint: true }).ctimeNs;
  // The kernel's clock for files goes in steps.
  for (const before = changed(); changed() === before; ) chmodSync(path, 0o600);
  expect(file.accepts('fedcba9876543210x')).toBe(true);
});

test('the file is open while it is read, and no longer', () => {
  const path = write(TOKEN);
  const file = open(path);
  for (const text of ['fedcba9876543210', 'short']) {
    writeFileSync(path, text);
    file.accepts(TOKEN);
  }
  expect(said).toContain('shorter than 16 characters');
  const held = readdirSync('/proc/self/fd').map((fd) => linkAt(`/proc/self/fd/${fd}`));
  expect(held.filter((target) => target.startsWith(path))).toEqual([]);
});

/** '' where it has gone meanwhile. */
function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

test('a link that is turned to another file is followed', () => {
  const link = join(root, 'link');
  symlinkSync(write(TOKEN), link);
  const file = open(link);
  writeFileSync(join(root, 'next'), 'fedcba9876543210', { mode: 0o600 });
  rmSync(link);
  symlinkSync(join(root, 'next'), link);
  expect(file.accepts(TOKEN)).toBe(false);
});
