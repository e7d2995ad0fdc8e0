// What `serve` does though nobody asks for it.
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import type { FollowedTarget } from '../../../src/collect/followed-target.js';
import { servedTargetMaker, startServing } from '../../../src/commands/serving.js';
import { FakeTarget } from '../../support/fake-target.js';
import { FakeWorld } from '../../support/fake-world.js';
import { bucket, MAIN } from '../../support/segment-fixture.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
  world.remove();
});

/** @returns its URL */
async function serving(targets: readonly FakeTarget[], look: () => void, host = '127.0.0.1'): Promise<string> {
  const listen = { host, port: 0 };
  const served = targets.map((target) => target.served);
  const stop = await startServing(world.context(), served, look, { listen, allowHost: [] });
  onTestFinished(stop);
  return /listening on (\S+);/.exec(world.err)?.[1] ?? '';
}

it('a reading is taken every ten seconds, for whoever opens the page later', async () => {
  const url = await serving([new FakeTarget()], () => {});
  vi.advanceTimersByTime(20_000);
  const { history } = (await (await fetch(`${url}/live.json`)).json()) as { history: { at: number[] } };
  expect(history.at).toEqual([1_000_000, 1_010_000, 1_020_000]);
});

it('targets are looked at every second; a defect of ours is told once and ends nothing', async () => {
  let looks = 0;
  await serving([new FakeTarget()], () => {
    looks += 1;
    throw new TypeError(looks % 2 === 0 ? 'one' : 'other');
  });
  vi.advanceTimersByTime(9_000);
  expect(looks).toBe(10);
  expect(world.err.match(/internal error: (one|other)$/gm)).toHaveLength(2);
});

it('no more than a hundred defects are told', async () => {
  let looks = 0;
  await serving([], () => {
    throw new TypeError(`defect ${looks++}`);
  });
  vi.advanceTimersByTime(200_000);
  expect(world.err.match(/internal error: defect \d+$/gm)).toHaveLength(100);
});

it('once it is ended, nobody gets an answer, nothing is looked at, and the process is as it was', async () => {
  const listeners = process.listenerCount('unhandledRejection');
  const target = new FakeTarget();
  const asked = new Promise<void>((resolve) => {
    const open = () => {
      resolve();
      return new Promise<never>(() => {});
    };
    target.upstream = { name: 'http://127.0.0.1:6060/debug/pprof/', open };
  });
  const options = { listen: { host: '127.0.0.1', port: 0 }, allowHost: [] };
  const stop = await startServing(world.context(), [target.served], () => {}, options);
  const [, url] = /listening on (\S+);/.exec(world.err) ?? [];
  const answer = expect(fetch(`${url}/debug/pprof/goroutine`)).rejects.toThrow('fetch failed');
  await asked;
  stop();
  await answer;
  await expect(fetch(`${url}`)).rejects.toThrow('fetch failed');
  expect(vi.getTimerCount()).toBe(0);
  expect(process.listenerCount('unhandledRejection')).toBe(listeners);
});

it('the name by which it was told to listen is its own', async () => {
  // A name as any other: to nobody but the resolver it is 127.0.0.1.
  const url = await serving([new FakeTarget()], () => {}, '127.1');
  const status = async (host: string): Promise<number | undefined> => {
    const request = get(`${url}/live.json`, { headers: { host } });
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return answer.resume().statusCode;
  };
  expect(await status('127.1')).toBe(200);
  expect(await status('127.2')).toBe(421);
});

/** What is followed, of a process that holds one site in C. */
function followed(pid: number): FollowedTarget {
  const path = world.segment(`${pid}-1.seg`);
  const header = world.native.readSegmentHeader(path);
  const frames = { frames: BigUint64Array.of(MAIN.textStart + 16n), frameModules: Uint16Array.of(MAIN.id) };
  const modules = [{ ...MAIN, path: world.write('srv/app', '') }];
  world.segments.set(path, { header, modules, buckets: [bucket(frames)] });
  const current = { found: { path, header, livePid: undefined }, path, livePid: undefined, end: undefined };
  return { name: `${pid}`, current: () => current } as unknown as FollowedTarget;
}

it('four C sides are read at once, whichever targets they are of', async () => {
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const { symbolizeModule } = world.native;
  vi.spyOn(world.native, 'symbolizeModule').mockImplementation(async (request) => {
    await held;
    return symbolizeModule(request);
  });
  const read = vi.spyOn(world.native, 'readSegment');
  const make = servedTargetMaker(world.context(), world.native, { showPlumbing: false });
  const targets = [10, 11, 12, 13, 14].map((pid) => make(followed(pid), 'none'));
  const parts = targets.map((target) => target.newCPart());
  await new Promise(setImmediate);
  expect(read).toHaveBeenCalledTimes(4);
  letGo();
  expect((await Promise.all(parts)).map(({ symbolized }) => symbolized.segment.header.pid)).toEqual([
    10, 11, 12, 13, 14,
  ]);
});
