// Promise: a program does not notice that a thread of it was used: neither by its registers nor by what it waited for; and
// once detached, its pages have the rights that they had, and it has the files and threads that it had.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask, attach, compileAlone, compilePlugin, detach, endWell, refusal } from '../support/attach-control.js';
import { outsideOf, untilAlone } from '../support/attach-outside.js';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';

const ROUNDS = 3;

let shop: Workshop;
let program: string;
let plugin: string;
let alone: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('attach-service');
  plugin = compilePlugin(shop);
  alone = compileAlone(shop);
});
afterAll(() => shop.remove());

/** What a wait of the service came to. */
interface Waited {
  readonly result: number;
  readonly text: string;
  readonly elapsedNs: number;
}

// A stop ends epoll_wait with EINTR, whoever stops (signal(7)); the others must not show it.
it.each([
  ['futex', /^interruptions 0$/m],
  ['nanosleep', /^interruptions 0$/m],
  ['read', /^interruptions 0$/m],
  ['poll', /^interruptions 0$/m],
  ['epoll', /^interruptions \d+$/m],
])('the one thread of a program, in %s', async (kind, interruptions) => {
  const service = await Service.start(shop, [alone, kind]);
  await service.obey('leak'); // after a first wait, for which it has made what it needs
  const before = outsideOf(service.pid);
  for (let round = 0; round < ROUNDS; round++) {
    const { how, threadId, stoppedNs, patched } = await attach(shop, service.pid);
    expect({ how, threadId }).toEqual({ how: 'injected', threadId: service.pid });
    expect(stoppedNs).toBeGreaterThan(0);
    expect(patched).toBeGreaterThan(0);
    await untilAlone(service.pid);
    expect(outsideOf(service.pid).descriptors).toEqual(before.descriptors);
    await detach(shop, service.pid);
    expect(outsideOf(service.pid)).toEqual(before);
  }
  expect(await endWell(service)).toMatch(interruptions);
});

it('one that waits for nothing is not stopped for longer than a look', async () => {
  const service = await Service.start(shop, [alone, 'spin']);
  const before = outsideOf(service.pid);
  expect(await refusal(shop, service.pid)).toMatch(/^no thread was found at a point where it may be stopped/);
  expect(outsideOf(service.pid)).toEqual(before);
  await endWell(service);
});

it('blocked reads, sleeps and timers of a Go service', async () => {
  const service = await Service.start(shop, [program, '-quiet', plugin]);
  const reading = ask<Waited>(service, '/pipe/read');
  for (let round = 0; round < ROUNDS; round++) {
    const ms = 1_013;
    const waits = ['/sleep', '/sleep/c', '/timer'].map((path) => ask<Waited>(service, `${path}?ms=${ms}`));
    await attach(shop, service.pid);
    await detach(shop, service.pid);
    for (const { result, elapsedNs } of await Promise.all(waits)) {
      expect(result).toBe(0);
      expect(elapsedNs).toBeGreaterThanOrEqual(ms * 1_000_000);
    }
  }
  await ask(service, '/pipe/write?text=still+there');
  expect(await reading).toMatchObject({ result: 'still there'.length, text: 'still there' });
  await endWell(service);
});

it('canaries in every register of a busy Go service, its files and the rights of its pages', async () => {
  const service = await Service.start(shop, [program, plugin]);
  await ask(service, '/work?gc');
  const before = outsideOf(service.pid);
  for (let round = 0; round < ROUNDS; round++) {
    await attach(shop, service.pid);
    await ask(service, '/work?plugin&gc');
    await detach(shop, service.pid);
    await ask(service, '/work?plugin&gc');
    const { mappings, descriptors } = outsideOf(service.pid);
    expect(mappings).toEqual(before.mappings);
    expect(descriptors.filter((line) => !line.includes('socket:'))).toEqual(
      before.descriptors.filter((line) => !line.includes('socket:')),
    );
  }
  const { rounds } = await ask<{ rounds: Record<string, number> }>(service, '/canaries');
  expect(Math.min(...Object.values(rounds))).toBeGreaterThan(0);
  await endWell(service);
});
