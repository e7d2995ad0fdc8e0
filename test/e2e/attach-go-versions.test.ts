// Promise: whatever release built the service, its runtime's threads wait where they may be used, and its stacks are read.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attach, detach, endWell, headerOf, profileOf } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { describeGoVersions } from '../support/go-versions.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { linesOf } from '../support/sites.js';

/** A release's first build compiles the standard library too. */
const BUILD_TIMEOUT = 600_000;

/** As often as the target looks each thing up. */
const LOOK_UPS = 41;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

describeGoVersions((version) => {
  test('attach, look, detach', { timeout: BUILD_TIMEOUT }, async () => {
    const program = await buildTargetAside('attach-internal', { ...version, variant: version.name });
    const service = await Service.start(shop, [program], { env: { GODEBUG: 'netdns=cgo' } });
    const attached = await attach(shop, service.pid);
    await service.obey('look up');
    const samples = await profileOf(shop, service.pid);
    const names = samples
      .filter(({ values: [objects] }) => objects === LOOK_UPS)
      .map((sample) => linesOf(sample).map(({ name }) => name));
    const ways = names.filter((stack) => stack.includes('os/user.LookupGroupId'));
    expect(ways.length).toBeGreaterThan(0);
    for (const stack of ways) expect(stack.slice(-3)).toEqual(['main.lookUp', 'main.main', 'runtime.main']);
    const { truncatedStacks, goBoundaryFailed, missedFrees } = headerOf(attached).counters;
    expect({ truncatedStacks, goBoundaryFailed, missedFrees }).toEqual({
      truncatedStacks: 0,
      goBoundaryFailed: 0,
      missedFrees: 0,
    });
    await detach(shop, service.pid);
    await endWell(service);
  });
});
