import { describe, expect, it } from 'vitest';
import { CgoprofError, usageError } from '../../../src/errors.js';
import { ProfileError } from '../../../src/merge/profile-error.js';
import { reportError } from '../../../src/present/error-lines.js';

describe('reportError', () => {
  it.each([
    [new CgoprofError({ what: 'a', why: 'b', hint: 'c' }), 'cgoprof: a: b\n  c\n', 1],
    [new CgoprofError({ what: 'a', why: 'b' }), 'cgoprof: a: b\n', 1],
    [usageError('', 'x', 'y'), 'cgoprof: x\n  y\n', 2],
    [new ProfileError('heap.pb.gz', 'empty'), 'cgoprof: heap.pb.gz: empty\n', 1],
  ])('says what, why and what to do', (error, text, exitCode) => {
    expect(reportError(error, {})).toEqual({ text, exitCode });
  });

  it.each([
    [new TypeError('x is\nundefined'), 'x is undefined'],
    ['text', 'text'],
  ])('calls anything else a defect, without its stack', (error, words) => {
    const { text, exitCode } = reportError(error, {});
    expect(text).toMatch(/^cgoprof: internal error: .*\n {2}.*CGOPROF_DEBUG=1.*\n$/);
    expect(text).toContain(words);
    expect(exitCode).toBe(1);
  });

  it('shows the stack on demand', () => {
    expect(reportError(new TypeError('x'), { CGOPROF_DEBUG: '1' }).text).toMatch(/\nTypeError: x\n {4}at /);
  });
});
