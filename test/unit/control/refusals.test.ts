import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { otherRate, refusal } from '../../../src/control/refusals.js';
import type { CgoprofError } from '../../../src/errors.js';
import type { AttachErrorCode, AttachRequest } from '../../../src/native-binding.js';
import { codedError, FakeWorld } from '../../support/fake-world.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
  world.process('self', { status: { CapEff: '0' } });
  world.process(10);
  world.process(12);
  world.write('proc/12/comm', 'strace\n');
  world.write('proc/sys/kernel/yama/ptrace_scope', '1\n');
});
afterEach(() => world.remove());

const REQUEST: AttachRequest = {
  pid: 10,
  action: 'attach',
  libraryPath: '/opt/libcgoprof.so',
  rate: 0,
  directory: '',
  deadlineMs: 1,
  trustSeccomp: false,
  skipAccount: false,
};

function said(error: Error, request = REQUEST): CgoprofError {
  return refusal(world.context({ uid: 1000 }), request, error) as CgoprofError;
}

/** All of them, or the compiler complains. */
const CODES: Record<AttachErrorCode, readonly [detail: string, why: RegExp, hint: RegExp]> = {
  GONE: ['', /^no such process: it has ended$/, /cgoprof ps/],
  ZOMBIE: ['', /^a zombie: it has ended$/, /parent/],
  STOPPED: ['', /^stopped by a signal/, /kill -CONT 10/],
  TRACED: ['12', /^traced by pid 12 \(strace\) already/, /let it go/],
  NOT_PERMITTED: ['', /^the kernel lets nobody but a parent trace it/, /sudo cgoprof attach 10/],
  MACHINE: ['i386', /^a process of another kind than amd64: i386$/, /amd64/],
  STATIC: ['', /linked statically/, /without -static.*cgoprof run cannot help/],
  MUSL: ['/lib/ld-musl-x86_64.so.1', /^its C library is not glibc: \/lib\/ld-musl/, /glibc/],
  LIBC: ['pthread_create', /^pthread_create is not found in its C library/, /cgoprof run/],
  SHADOW_STACK: ['', /shadow stacks/, /x86_shstk=off/],
  SANITIZER: ['__tsan_init', /must know of every thread \(__tsan_init\)$/, /without -fsanitize/],
  OVERWRITTEN: ['/app/p.so', /overwritten in place: \/app\/p\.so\. Loading another one may crash it/, /restart it.*mv/],
  FORBIDDEN: ['memfd_create', /^the kernel forbids it memfd_create/, /memfd_noexec/],
  SECCOMP_FORBIDS: ['memfd_create', /^its seccomp filter forbids memfd_create/, /Allow memfd_create/],
  SECCOMP_UNKNOWN: ['', /filter that we may not read; some end the process/, /sudo cgoprof attach 10.*--trust-seccomp/],
  NO_SAFE_POINT: ['7', /may be stopped \(of 7\)$/, /^Nothing has changed in it/],
  NO_MEMORY: ['Cannot allocate memory', /\(Cannot allocate memory\)$/, /ulimit -v/],
  LIBRARY_VERSION: ['', /^another version of cgoprof/, /restart/],
  LOADER: ['libc.so.6: version GLIBC_9 not found', /^its loader could not load the library: libc.so.6/, /cgoprof run/],
  LIBRARY: ['busy', /^somebody else is attaching/, /again/],
  BUSY: ['', /loader’s lock/, /again/],
  LOST: ['', /nothing was heard of that/, /cgoprof ps/],
};

describe('a code of the addon', () => {
  it.each(Object.entries(CODES))('%s has words', (code, [detail, why, hint]) => {
    const error = codedError(code, 'internal', detail);
    expect(said(error)).toMatchObject({
      name: 'CgoprofError',
      message: expect.stringMatching(/^pid 10: /),
      hint: expect.stringMatching(hint),
      exitCode: 1,
    });
    expect(said(error).message.replace('pid 10: ', '')).toMatch(why);
  });

  it('without a detail has no brackets', () => {
    expect(said(codedError('NO_SAFE_POINT', '')).message).toMatch(/ may be stopped$/);
  });

  it('names the command that was given', () => {
    const request = { ...REQUEST, action: 'detach' } as const;
    expect(said(codedError('SECCOMP_UNKNOWN', ''), request).hint).toContain('sudo cgoprof detach 10');
    expect(said(codedError('NOT_PERMITTED', ''), request).hint).toContain('sudo cgoprof detach 10');
  });

  it('may know a system call by its number alone', () => {
    expect(said(codedError('SECCOMP_FORBIDS', '', '319')).message).toContain('forbids system call 319,');
  });

  it('TRACED may not know by whom', () => {
    expect(said(codedError('TRACED', '', 'x')).message).toContain('a process that cannot be seen from here');
  });
});

it('no room in the static TLS block is a case of its own', () => {
  const detail = '/proc/self/fd/9: cannot allocate memory in static TLS block';
  expect(said(codedError('LOADER', '', detail))).toMatchObject({
    message: 'pid 10: no room is left in its static TLS block, which the library takes a few bytes of',
    hint: expect.stringContaining('GLIBC_TUNABLES=glibc.rtld.optional_static_tls='),
  });
});

describe('a word of the library', () => {
  it.each([
    ['relocations', /^pid 10: its calls of malloc could not be redirected$/],
    ['rate', /^pid 10: it was attached to before with another --rate/],
    ['not-attached', /^pid 10: nothing was attached to it$/],
    ['preloaded', /^pid 10: the library was preloaded/],
    ['version', /^pid 10: another version/],
    ['cancelled', /^pid 10: it did not answer in time/],
    ['no-room', /^pid 10: not profiled: it could not make a segment: there was no room for it$/],
    ['own-malloc', /^pid 10: not profiled: its executable defines malloc itself/],
    ['something-new', /its library says 'something-new'$/],
  ])('%s has words', (word, message) => {
    expect(said(codedError('LIBRARY', '', word)).message).toMatch(message);
  });
});

it('an error of the system has the system’s words', () => {
  expect(said(codedError('EIO', 'it could not be read'))).toMatchObject({
    message: 'pid 10: it could not be read',
    hint: expect.stringContaining('The library is /opt/libcgoprof.so;'),
  });
});

it('any other error is a defect, and stays what it is', () => {
  const error = new TypeError('wrong argument');
  expect(said(error)).toBe(error);
  expect(refusal(world.context(), REQUEST, undefined)).toBeUndefined();
});

it('a rate that cannot be had is told with the one there is', () => {
  expect(otherRate(10, 524288).message).toContain('its segment has --rate 524288');
});
