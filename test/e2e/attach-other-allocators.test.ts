// Promise: whatever allocator serves a running service, each block is counted once from the attach on, to the byte; what
// the allocator does within itself is not the service's.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask, attach, compilePlugin, detach, endWell, headerOf, profileOf } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { samplesAt, sitesOf, total, truth } from '../support/sites.js';

const SITES = sitesOf('attach-service');
const LIBRARIES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

let shop: Workshop;
let program: string;
let plugin: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('attach-service');
  plugin = compilePlugin(shop);
});
afterAll(() => shop.remove());

for (const name of ['libtcmalloc.so.4', 'libtcmalloc_minimal.so.4', 'libjemalloc.so.2', 'libmimalloc.so.2']) {
  const library = `${LIBRARIES}/${name}`;
  it.runIf(existsSync(library)).each([
    ['that has been used', ['/leak']],
    ['some of whose functions were never called', []],
  ])(`${name}, %s`, async (_, before) => {
    const service = await Service.start(shop, [program, '-quiet', plugin], { env: { LD_PRELOAD: library } });
    for (const path of before) await ask(service, path);
    const attached = await attach(shop, service.pid);
    await ask(service, '/leak');
    await ask(service, '/leak/plugin');
    const samples = await profileOf(shop, service.pid);
    const seen = SITES.map((site) => ({ site: site.name, values: total(samplesAt(samples, site)) }));
    expect(seen).toEqual(SITES.map((site) => ({ site: site.name, values: truth(site) })));
    expect(headerOf(attached).counters).toMatchObject({ missedFrees: 0, unknownFrees: 0 });
    await detach(shop, service.pid);
    for (const path of ['/leak', '/release']) await ask(service, path);
    await endWell(service);
  });
}
