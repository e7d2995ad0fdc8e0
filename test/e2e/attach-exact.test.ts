// Promise: from the attach on, a program whose leaking lines are known shows them to the byte; what was there before is one
// node; detached it is left alone, and attached again it goes on.
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ask,
  attach,
  compileAlone,
  compilePlugin,
  detach,
  endWell,
  headerOf,
  profileOf,
} from '../support/attach-control.js';
import { untilAlone } from '../support/attach-outside.js';
import { Workshop } from '../support/cgoprof.js';
import type { PprofSample } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { linesOf, type Site, samplesAt, sitesOf, total } from '../support/sites.js';

const SITES = sitesOf('attach-service');
const BEFORE = '[allocated before attach]';

/** What the loader has allocated for the library when the account is asked, at the most. */
const LOADERS_BYTES = 65536;

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

/** What the samples say of every site. */
const seen = (samples: readonly PprofSample[]) =>
  Object.fromEntries(SITES.map((site) => [site.name, total(samplesAt(samples, site))]));

/** What they have to say after so many calls, of which the last ones' blocks are in use. */
function made(calls: (site: Site) => number, inUse: (site: Site) => number) {
  const row = (site: Site) => {
    const held = site.live ? inUse(site) : 0;
    return [site.blocks * calls(site), site.bytes * calls(site), site.blocks * held, site.bytes * held];
  };
  return Object.fromEntries(SITES.map((site) => [site.name, row(site)]));
}

const isInPlugin = ({ path }: Site) => path.endsWith('/plugin.c');

/** What was in use before, by the profile. */
function before(samples: readonly PprofSample[]): readonly number[] {
  const [node, ...others] = samples.filter((sample) => linesOf(sample).some(({ name }) => name === BEFORE));
  expect(others).toEqual([]);
  expect(node?.stack).toHaveLength(1);
  return node?.values ?? [];
}

it('every line of a Go service, and of a library that it loads later, to the byte', async () => {
  const service = await Service.start(shop, [program, '-quiet', plugin]);
  await ask(service, '/leak');
  await ask(service, '/early');
  const account = await ask<number>(service, '/account');

  const first = await attach(shop, service.pid);
  expect(first).toMatchObject({ pid: service.pid, how: 'injected' });
  await ask(service, '/leak');
  await ask(service, '/leak/plugin');
  await ask(service, '/leak');
  const attached = await profileOf(shop, service.pid);
  const twice = (site: Site) => (isInPlugin(site) ? 1 : 2);
  expect(seen(attached)).toEqual(made(twice, twice));
  const [objects, bytes, inUseObjects, inUseBytes = 0] = before(attached);
  expect([objects, bytes, inUseObjects]).toEqual([0, inUseBytes, 0]);
  expect(inUseBytes).toBeGreaterThanOrEqual(account);
  expect(inUseBytes).toBeLessThan(account + LOADERS_BYTES);
  expect(headerOf(first)).toMatchObject({ state: 'running', attachments: 1, beforeAttachBytes: inUseBytes });

  await ask(service, '/early/release');
  expect(headerOf(first).counters).toMatchObject({ unknownFrees: 211, missedFrees: 0 });

  await detach(shop, service.pid);
  expect(headerOf(first).state).toBe('paused');
  await ask(service, '/leak');
  await ask(service, '/leak/plugin');
  expect(seen(await profileOf(shop, service.pid))).toEqual(made(twice, twice));

  const again = await attach(shop, service.pid);
  expect(again).toMatchObject({ how: 'injected', segment: first.segment });
  await ask(service, '/leak');
  await ask(service, '/leak/plugin');
  const reattached = await profileOf(shop, service.pid);
  const calls = (site: Site) => (site.name === 'constructor' ? 1 : isInPlugin(site) ? 2 : 3);
  expect(seen(reattached)).toEqual(made(calls, (site) => (site.name === 'constructor' ? 0 : 1)));
  expect(before(reattached)[3]).toBeGreaterThan(inUseBytes);
  expect(headerOf(again).attachments).toBe(2);

  await ask(service, '/release');
  const released = seen(await profileOf(shop, service.pid));
  expect(released).toEqual(made(calls, (site) => (site.name === 'plugin' ? 1 : 0)));
  await detach(shop, service.pid);
  await endWell(service);
});

it('a program in C: what it had, what it gets, and frees of what was there before', async () => {
  const service = await Service.start(shop, [alone, 'nanosleep']);
  await service.obey('leak');
  await service.obey('account');
  const [, account] = await service.line(/^in use (\d+)$/m);

  const first = await attach(shop, service.pid);
  await untilAlone(service.pid);
  const { beforeAttachBytes = 0, counters } = headerOf(first);
  expect(counters.unknownFrees).toBe(0);
  expect(beforeAttachBytes).toBeGreaterThanOrEqual(Number(account));
  expect(beforeAttachBytes).toBeLessThan(Number(account) + LOADERS_BYTES);
  await service.obey('leak');
  expect(total(await ofAlone(service.pid))).toEqual([101, 101909, 101, 101909]);
  await service.obey('release');
  expect(total(await ofAlone(service.pid))).toEqual([101, 101909, 0, 0]);
  expect(headerOf(first).counters).toMatchObject({ unknownFrees: 101, missedFrees: 0 });
  await detach(shop, service.pid);
  await endWell(service);
});

/** The samples of the one function that leaks in that program. */
async function ofAlone(pid: number): Promise<PprofSample[]> {
  const samples = await profileOf(shop, pid);
  return samples.filter((sample) => linesOf(sample).some(({ name }) => name === 'leak'));
}
