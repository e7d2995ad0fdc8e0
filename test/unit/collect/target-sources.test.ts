// What stands for a target whose process executes another program while it is looked at.
import { symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FollowedTarget } from '../../../src/collect/followed-target.js';
import type { TargetKind } from '../../../src/collect/target-name.js';
import { targetSource } from '../../../src/collect/target-sources.js';
import { FakeWorld } from '../../support/fake-world.js';
import { PRELOADED, recordedProcess } from '../../support/profiled-process.js';

/** What happens, once, right before or after the state of a process is read. */
const moments = vi.hoisted((): { before?: (() => void) | undefined; after?: (() => void) | undefined } => ({}));

function pass(moment: keyof typeof moments): void {
  const happen = moments[moment];
  moments[moment] = undefined;
  happen?.();
}

vi.mock('../../../src/collect/processes.js', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../../src/collect/processes.js')>();
  const readLivingStat: typeof real.readLivingStat = (...process) => {
    pass('before');
    const stat = real.readLivingStat(...process);
    pass('after');
    return stat;
  };
  return { ...real, readLivingStat };
});

let world: FakeWorld;
let followed: FollowedTarget;
beforeEach(() => {
  world = new FakeWorld();
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  followed.close();
  vi.useRealTimers();
  world.remove();
});

function follow(text: string, kind: TargetKind): FollowedTarget {
  const context = world.context();
  world.readUnknown = () => world.segments.get(path) as never;
  followed = new FollowedTarget(
    context,
    world.native,
    'api',
    targetSource(context, world.native, { name: undefined, text, kind }),
  );
  return followed;
}

/** The segment of the process now. */
let path: string;

/** The process executes a program that is profiled, too. */
function execute(code: number): void {
  path = recordedProcess(world, 10, {
    library: PRELOADED,
    header: { pid: 10, startTimeTicks: 1n, createdUnixNs: BigInt(code) },
    code,
  });
}

describe.each([
  ['pid', '10'],
  ['pattern', 'api'],
] as const)('a target by %s that executes right after its state was read', (kind, text) => {
  it('is served as what it is now', () => {
    execute(4096);
    symlinkSync('/srv/api', world.path('proc/10/exe'));
    const next = () => execute(8192);
    // A name is looked for first.
    moments.after = kind === 'pid' ? next : () => (moments.after = next);
    follow(text, kind).current();
    vi.advanceTimersByTime(1_000);
    expect(followed.current()).toMatchObject({ livePid: 10, found: { header: { createdUnixNs: 8192n } } });
    expect(moments.after).toBeUndefined();
  });
});

it('a segment whose process executes right before its state is read is that of one that has ended', () => {
  execute(4096);
  moments.before = () => world.process(10, { code: 8192, maps: '' });
  expect(follow(path, 'file').current()).toMatchObject({ livePid: undefined, end: { how: 'died' } });
});
