import { describe, expect, it } from 'vitest';
import { CgoprofError, errorCode, oneLine, systemReason, usageError } from '../../src/errors.js';

describe('CgoprofError', () => {
  it('says what and why on one line and keeps the hint apart', () => {
    const error = new CgoprofError({ what: 'run: ./a', why: 'no such file', hint: 'try ./b' });
    expect(error.message).toBe('run: ./a: no such file');
    expect(error.hint).toBe('try ./b');
    expect(error.exitCode).toBe(1);
  });

  it('cannot be made to print a second line or move the cursor', () => {
    const error = new CgoprofError({ what: 'a\ncgoprof: forged', why: 'b\x1b[2Jc', hint: 'd\r\ne' });
    expect(error.message).toBe('a cgoprof: forged: b [2Jc');
    expect(error.hint).toBe('d e');
  });

  it('needs no subject when the reason says it all', () => {
    expect(new CgoprofError({ what: '', why: 'unknown command' }).message).toBe('unknown command');
  });

  it('is a usage error with exit code 2', () => {
    expect(usageError('--gc', 'needs --go')).toMatchObject({ exitCode: 2, hint: "Run 'cgoprof help' for usage." });
  });
});

describe('systemReason', () => {
  it("uses strerror's words", () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '/x'"), { errno: -13, code: 'EACCES' });
    expect(systemReason(error)).toBe('permission denied');
  });

  it('falls back to the message, on one line', () => {
    expect(systemReason(new Error('a\nb'))).toBe('a b');
    expect(systemReason('text')).toBe('text');
    expect(systemReason(Object.assign(new Error('odd'), { errno: 123456 }))).toBe('odd');
  });
});

it('errorCode reads only text', () => {
  expect(errorCode({ code: 'ENOENT' })).toBe('ENOENT');
  for (const value of [undefined, null, 'ENOENT', { code: 5 }, {}]) expect(errorCode(value)).toBe('');
});

it('oneLine keeps letters of every language', () => {
  expect(oneLine(' größe\t名前\u0085x ')).toBe('größe 名前 x');
});
