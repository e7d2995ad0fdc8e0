import { afterEach, expect, it, vi } from 'vitest';
import type { FollowedSegment } from '../../../src/collect/followed-target.js';
import type { Upstream } from '../../../src/collect/upstream.js';
import { GoOrigin } from '../../../src/serve/go-origin.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';

const asked = vi.hoisted(() => ({ answers: [] as (Uint8Array | undefined)[], count: 0 }));
vi.mock('../../../src/collect/upstream-command-line.js', () => ({
  fetchCommandLine: async () => asked.answers[asked.count++],
}));
vi.mock('../../../src/collect/command-line.js', () => ({ commandLine: () => Buffer.from('./api\0-a') }));

afterEach(() => vi.useRealTimers());

it('asks for the command line again after a while, where it got none, and not once it has', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  Object.assign(asked, { answers: [undefined, Buffer.from('./api\0-b\0'), Buffer.from('./api\0-c\0')], count: 0 });
  const upstream = { name: 'http://127.0.0.1:6060' } as Upstream;
  const target = { found: {}, livePid: 4711 } as FollowedSegment;
  const origin = new GoOrigin({ procRoot: '/proc' } as never, upstream);
  expect(await origin.ask(target)).toBeUndefined();
  expect(await origin.ask(target)).toBeUndefined();
  expect(asked.count).toBe(1);
  vi.advanceTimersByTime(10_001);
  const note = await origin.ask(target);
  expect(note).toMatch(/4711/);
  vi.advanceTimersByTime(3_600_000);
  expect(await origin.ask(target)).toBe(note);
  expect(asked.count).toBe(2);
});

it('says nothing of a process by what was a profile of the one before', async () => {
  Object.assign(asked, { answers: [], count: 0 });
  const [before, next] = [4711, 4712].map((livePid) => ({ found: {}, livePid }) as FollowedSegment);
  if (before === undefined || next === undefined) throw new Error('no targets');
  const origin = new GoOrigin({ procRoot: '/proc' } as never, {} as Upstream);
  const mappings = [{ start: 1n, limit: 2n, offset: 0n, file: '/srv/other', buildId: 'ffff' }];
  origin.see(before, goProfile({ samples: [], mappings }));
  const { segment } = symbolizedSegment({ buckets: [] });
  expect(await origin.note(before, segment)).toMatch(/of another program or build/);
  expect(await origin.note(next, segment)).toBeUndefined();
});
