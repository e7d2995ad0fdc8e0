import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FollowedSegment } from '../../../src/collect/followed-target.js';
import { NoProcessYet } from '../../../src/collect/target-sources.js';
import { Upstream } from '../../../src/collect/upstream.js';
import { saySameProcesses, sayWhatIsServed } from '../../../src/commands/say-served.js';
import { FakeWorld } from '../../support/fake-world.js';
import { segmentHeader } from '../../support/segment-fixture.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(() => world.remove());

function target(name: string, pid: number, livePid: number | undefined = pid) {
  const header = segmentHeader({ pid, exePath: '/srv/api\u001b' });
  const found = { path: '', header, livePid };
  const current = (): FollowedSegment => ({ found, path: '', livePid, end: undefined });
  return { name, current, upstream: undefined };
}

function missing(name: string) {
  const current = (): FollowedSegment => {
    throw new NoProcessYet({ what: name, why: 'no such process runs', hint: 'Later.' });
  };
  return { name, current, upstream: undefined };
}

it.each([
  [target('api', 10), undefined, 'api: pid 10, /srv/api, running; C side only: no --go\n'],
  [target('api', 10), 'none', 'api: pid 10, /srv/api, running; C side only: --go none\n'],
  [
    { ...target('api', 10), upstream: new Upstream('http://u:secret@h') },
    'http://u:secret@h',
    'api: pid 10, /srv/api, running; Go side: http://h/debug/pprof/\n',
  ],
  [
    missing('api'),
    undefined,
    'api: waiting for a process: api: no such process runs\n  Later.\n  C side only: no --go\n',
  ],
])('says who stands for a target, and what for its Go side: %#', (one, go, text) => {
  sayWhatIsServed(world.context(), one, go);
  expect(world.err).toBe(`cgoprof: ${text}`);
});

it('a process that has two names is told of', () => {
  saySameProcesses(world.context(), [target('api', 10), missing('x'), target('web', 11), target('again', 10)]);
  expect(world.err).toBe('cgoprof: warning: again is the same process as api, pid 10\n');
});
