// Promise: whatever a service is made of and however it was linked, it can be attached to, and what it allocates from then
// on stands below the lines that asked for it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask, attach, compilePlugin, detach, endWell, profileOf } from '../support/attach-control.js';
import { outsideOf } from '../support/attach-outside.js';
import { Workshop } from '../support/cgoprof.js';
import type { PprofSample } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { linesOf, sitesOf, total } from '../support/sites.js';

/** A release's first build of a mode compiles the standard library too. */
const BUILD_TIMEOUT = 600_000;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

/** Samples with a Go function in their stack. */
async function under(name: string, { pid }: Service): Promise<PprofSample[]> {
  const samples = await profileOf(shop, pid);
  return samples.filter((sample) => linesOf(sample).some((line) => line.name === name));
}

/** What is allocated, and what of it in use. */
async function blocksUnder(name: string, service: Service): Promise<{ allocated: number; inUse: number }> {
  const [allocated = 0, , inUse = 0] = total(await under(name, service));
  return { allocated, inUse };
}

/** Attaches to it; what it does then is seen; then detaches, and its pages are as they were. */
async function attachedTo(service: Service, work: () => Promise<void>): Promise<void> {
  const { mappings } = outsideOf(service.pid);
  await attach(shop, service.pid);
  await work();
  await detach(shop, service.pid);
  expect(outsideOf(service.pid).mappings).toEqual(mappings);
  await endWell(service);
}

it('go-sqlite3', { timeout: BUILD_TIMEOUT }, async () => {
  const service = await Service.start(shop, [await buildTargetAside('attach-sqlite')]);
  await attachedTo(service, async () => {
    await service.obey('query');
    await service.obey('prepare');
    const { allocated, inUse } = await blocksUnder('main.prepare', service);
    expect(inUse).toBeGreaterThanOrEqual(101); // each statement has some blocks
    await service.obey('close');
    expect(await blocksUnder('main.prepare', service)).toEqual({ allocated, inUse: 0 });
  });
});

it('a large library in C++, with threads of its own', { timeout: BUILD_TIMEOUT }, async () => {
  const service = await Service.start(shop, [await buildTargetAside('attach-cxx'), shop.path('database')]);
  await attachedTo(service, async () => {
    await service.obey('work');
    await service.obey('hold');
    const { allocated, inUse } = await blocksUnder('main.(*store).hold', service);
    expect(inUse).toBeGreaterThanOrEqual(101);
    await service.obey('close');
    expect(await blocksUnder('main.(*store).hold', service)).toEqual({ allocated, inUse: 0 });
    await service.obey('work');
  });
});

it('a program that Go’s own linker has linked', { timeout: BUILD_TIMEOUT }, async () => {
  const path = fileURLToPath(new URL('../targets/attach-internal/main.go', import.meta.url));
  const line =
    readFileSync(path, 'utf8').split('\n').indexOf('\t\tif _, err := user.LookupGroupId("0"); err != nil {') + 1;
  expect(line).toBeGreaterThan(0);
  const program = await buildTargetAside('attach-internal');
  const service = await Service.start(shop, [program], { env: { GODEBUG: 'netdns=cgo' } });
  await service.obey('look up');
  await attachedTo(service, async () => {
    await service.obey('look up');
    const samples = await under('main.lookUp', service);
    const ofGroups = samples.filter((sample) =>
      linesOf(sample).some((one) => one.name === 'main.lookUp' && one.line === line),
    );
    const perLookUp = ofGroups.filter(({ values: [objects] }) => objects === 41);
    expect(perLookUp.length).toBeGreaterThan(0);
  });
});

it('a position-independent executable without symbols', { timeout: BUILD_TIMEOUT }, async () => {
  const flags = ['-buildmode=pie', '-ldflags=-s -w'];
  const program = await buildTargetAside('attach-service', { variant: 'pie-stripped', flags });
  const service = await Service.start(shop, [program, '-quiet', compilePlugin(shop)]);
  await ask(service, '/leak');
  await attachedTo(service, async () => {
    await ask(service, '/leak');
    const ofLeak = sitesOf('attach-service').filter(({ callers }) => callers.includes('main.leak'));
    const sum = (value: (site: (typeof ofLeak)[number]) => number) =>
      ofLeak.reduce((all, site) => all + value(site), 0);
    const held = ({ live, blocks, bytes }: (typeof ofLeak)[number]) => (live ? [blocks, bytes] : [0, 0]);
    const expected = [
      sum(({ blocks }) => blocks),
      sum(({ bytes }) => bytes),
      sum((site) => held(site)[0] ?? 0),
      sum((site) => held(site)[1] ?? 0),
    ];
    expect(total(await under('main.leak', service))).toEqual(expected);
  });
});
