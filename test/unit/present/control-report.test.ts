import { describe, expect, it } from 'vitest';
import type { Attached } from '../../../src/control/attach-process.js';
import type { Detached } from '../../../src/control/detach-process.js';
import { attachedLines, controlJson, detachedLines } from '../../../src/present/control-report.js';
import { ATTACH_RESULT } from '../../support/fake-world.js';

const ATTACHED: Attached = { how: 'injected', recording: true, segment: '/s', injected: ATTACH_RESULT };
const [, NEXT] = attachedLines(10, '', ATTACHED);
const LATER =
  'pid 10 (/srv/app) will be recorded once one of its threads has allocated another 16 MiB: it looks for the request then';

describe('attachedLines', () => {
  it.each<[Partial<Attached>, string]>([
    [{}, 'attached to pid 10 (/srv/app): one thread was stopped for 1.2 ms'],
    [
      { injected: { ...ATTACH_RESULT, stoppedNs: 85_400, attempts: 3 } },
      'attached to pid 10 (/srv/app): one thread was stopped for 85 µs; 3 more for a look',
    ],
    [{ how: 'resumed' }, 'pid 10 (/srv/app) is recorded again'],
    [{ how: 'asked' }, 'pid 10 (/srv/app) is recorded now'],
    [{ how: 'already' }, 'pid 10 (/srv/app) is recorded already'],
    [{ how: 'resumed', recording: false }, LATER],
    [{ how: 'asked', recording: false }, LATER],
  ])('%j', (given, line) => {
    expect(attachedLines(10, '/srv/app', { ...ATTACHED, ...given })).toEqual([
      line,
      given.recording === false ? NEXT?.replace('it:', 'it then:') : NEXT,
    ]);
  });

  it('say how long the allocator counted, if it did', () => {
    const lines = (accountNs: number) =>
      attachedLines(10, '', { ...ATTACHED, injected: { ...ATTACH_RESULT, accountNs } });
    expect(lines(19_999_999)).toHaveLength(2);
    expect(lines(540e6)[1]).toBe(
      'its allocator held its locks for 540 ms to count what is in use; --skip-account spares a process that',
    );
  });

  it('say how to go on', () => {
    expect(NEXT).toBe('look at it: cgoprof heap 10 --go http://HOST:PORT -o merged.pb.gz; end it: cgoprof detach 10');
  });
});

describe('detachedLines', () => {
  it.each<[Detached, string]>([
    [
      { how: 'injected', segment: '', injected: ATTACH_RESULT },
      'detached from pid 10: one thread was stopped for 1.2 ms',
    ],
    [{ how: 'asked', segment: '' }, 'pid 10 is not recorded any more; the hooks stay in, as the library was preloaded'],
    [{ how: 'withdrawn', segment: '' }, 'pid 10 is not recorded, and will not be: it had not seen the request yet'],
    [{ how: 'already', segment: '' }, 'pid 10 is not recorded anyway'],
  ])('%j', (given, line) => {
    expect(detachedLines(10, '', given)).toEqual([line]);
    const stays = 'what was recorded stays: cgoprof heap 10 -o FILE';
    expect(detachedLines(10, '', { ...given, segment: '/s' })).toEqual([line, stays]);
  });
});

describe('controlJson', () => {
  it('is one object with what was done and what it cost', () => {
    expect(controlJson(10, '/srv/app', ATTACHED)).toMatch(/^\{\n.*\n\}\n$/s);
    expect(JSON.parse(controlJson(10, '/srv/app', ATTACHED))).toEqual({
      pid: 10,
      command: '/srv/app',
      segment: '/s',
      how: 'injected',
      recording: true,
      stoppedNs: 1_234_567,
      threadId: 11,
      attempts: 0,
      patched: 97,
      accountNs: 850_000,
    });
  });

  it('has zeros where nobody was stopped', () => {
    expect(JSON.parse(controlJson(10, '', { how: 'asked', segment: '/s' }))).toEqual({
      pid: 10,
      command: '',
      segment: '/s',
      how: 'asked',
      stoppedNs: 0,
      threadId: 0,
      attempts: 0,
      patched: 0,
      accountNs: 0,
    });
  });
});
