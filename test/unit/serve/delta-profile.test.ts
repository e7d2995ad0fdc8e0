import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FollowedSegment, FollowedTarget } from '../../../src/collect/followed-target.js';
import type { GoHeapBytes } from '../../../src/collect/go-heap.js';
import type { Upstream } from '../../../src/collect/upstream.js';
import { deltaProfile } from '../../../src/serve/delta-profile.js';
import { ServedTarget } from '../../../src/serve/served-target.js';
import { Turns } from '../../../src/serve/turns.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';

let world: FakeWorld;
let current: FollowedSegment;
beforeEach(() => {
  world = new FakeWorld();
  const path = world.segment('10-1.seg', { createdUnixNs: 10n });
  const found = { path, header: world.native.readSegmentHeader(path), livePid: 10 };
  current = { found, path, livePid: 10, end: undefined };
});
afterEach(() => world.remove());

const END = { at: new Date('2026-11-22T03:06:00Z'), how: 'died' } as const;
const end = (): void => {
  current = { ...current, livePid: undefined, end: END };
};

/** So many that, as in Go, they are over at once. */
const query = { seconds: 2n ** 62n, defaultType: '', cAlone: false, cancel: new AbortController().signal } as const;

function changes(upstream: Pick<Upstream, 'heap'> | undefined): Promise<Uint8Array> {
  const target = new ServedTarget(world.context(), world.native, {
    name: 'api',
    followed: { current: () => current } as FollowedTarget,
    upstream: upstream as Upstream | undefined,
    showPlumbing: false,
    symbols: { load: async () => new Map(), store: async () => {} },
    turns: new Turns(),
  });
  return deltaProfile(target, query);
}

it('has no Go side of whoever answers once the process has ended', async () => {
  const samples = [{ stack: ['main.main@/srv/app/main.go:3'], values: [1, 7919, 1, 7919] }];
  const answer = { name: 'http://127.0.0.1:6060', bytes: goProfile({ samples }).encode(), takenAt: END.at };
  const heap = async (): Promise<GoHeapBytes> => {
    end();
    return answer;
  };
  await expect(changes({ heap })).rejects.toThrow('api: its process ended meanwhile');
});

it('of C alone is what changed until the process ended, and says that it has', async () => {
  const begun = changes(undefined);
  end();
  const { comment, stringTable } = Profile.decode(gunzipSync(await begun));
  const comments = comment.map((index) => stringTable.strings[Number(index)] ?? '');
  expect(comments.some((text) => text.includes('pid 10 has ended'))).toBe(true);
});
