import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TokenFile } from '../../../src/serve/token-file.js';

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

test('what is no file is refused, without waiting for it', () => {
  expect(() => open(root)).toThrow(`${root}: not a regular file`);
  expect(() => open(join(root, 'none'))).toThrow('none: no such file or directory');
});

test('the file of another user is refused, root’s is not', () => {
  const path = write(TOKEN);
  const owner = process.getuid?.() ?? 0;
  if (owner === 0) expect(open(path, 1000).accepts(TOKEN)).toBe(true);
  else expect(() => open(path, owner + 1)).toThrow('the file of another user');
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

test('a link that is turned to another file is followed', () => {
  const link = join(root, 'link');
  symlinkSync(write(TOKEN), link);
  const file = open(link);
  writeFileSync(join(root, 'next'), 'fedcba9876543210', { mode: 0o600 });
  rmSync(link);
  symlinkSync(join(root, 'next'), link);
  expect(file.accepts(TOKEN)).toBe(false);
});
