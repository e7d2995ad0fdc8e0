// What `serve` does though nobody asks for it.
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { startServing } from '../../../src/commands/serving.js';
import { FakeTarget } from '../../support/fake-target.js';
import { FakeWorld } from '../../support/fake-world.js';

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
