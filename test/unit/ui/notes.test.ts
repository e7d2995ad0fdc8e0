import { describe, expect, it } from 'vitest';
import type { LiveC, LiveGo, LiveProcess } from '../../../src/serve/live-state.js';
import { attachNote, goNote } from '../../../src/ui/notes.js';
import { formatClockSeconds } from '../../../src/ui/words.js';

const C: LiveC = { bytes: 2048, beforeAttach: null, sites: [], siteCount: 0, notes: [] };
const PROCESS: LiveProcess = { pid: 1, state: 'running', started: '', rate: 1, command: '', attached: null };
const GO: LiveGo = { served: true, bytes: 7919, takenAt: 1_000_000, problem: '', other: '' };
const AT = formatClockSeconds(1_000_000);

describe('attachNote', () => {
  it('tells how much is from before the attach', () => {
    expect(attachNote({ c: { ...C, beforeAttach: 1024 } })).toMatch(
      /^C in use includes 1 KiB from before cgoprof was attached/,
    );
  });

  it.each([[null], [C], [{ ...C, beforeAttach: 0 }]])('says nothing where nothing is: %j', (c) => {
    expect(attachNote({ c })).toBe('');
  });
});

describe('goNote', () => {
  it('tells of when the last profile of a process that has ended is', () => {
    expect(goNote({ go: GO, process: PROCESS, ended: 'pid 1 has ended' })).toContain(
      `while the process lived, at ${AT}.`,
    );
  });

  it('says that there is none', () => {
    const go = { ...GO, bytes: null, takenAt: null };
    expect(goNote({ go, process: PROCESS, ended: 'pid 1 has ended' })).toMatch(/^Go in use is not known: nobody asked/);
  });

  it('tells why there is no newer one, and when the last came', () => {
    const go = { ...GO, problem: 'no answer' };
    expect(goNote({ go, process: PROCESS, ended: '' })).toBe(`Go: no answer. Its last profile came at ${AT}.`);
  });

  it.each(['', 'pid 1 has ended'])('tells that they are another’s, of a process that lives or not: %j', (ended) => {
    const go = { ...GO, other: 'the Go profile is of another program' };
    expect(goNote({ go, process: PROCESS, ended })).toMatch(/^The Go profile is of another program\. Go.* as of /);
  });
});
