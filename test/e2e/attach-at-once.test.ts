// Promise: several people may attach to a process at the same moment: the library is loaded once, and every block counted
// once; whoever came too late is told so.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask, compilePlugin, endWell, headerOf, profileOf } from '../support/attach-control.js';
import { copiesOfLibrary, untilAlone } from '../support/attach-outside.js';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

const SITE = siteOf('attach-service', 'malloc');
const TOO_LATE = /: (traced by |somebody else is attaching )/;

let shop: Workshop;
let program: string;
let plugin: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('attach-service');
  plugin = compilePlugin(shop);
});
afterAll(() => shop.remove());

// When each of them comes is chance: some of these runs have them meet.
it.each([1, 2, 3, 4, 5])('four at once (%i)', async () => {
  const service = await Service.start(shop, [program, '-quiet', plugin]);
  const command = ['attach', `${service.pid}`, '--rate', '1', '--json'];
  const finished = await Promise.all([1, 2, 3, 4].map(() => shop.run(command)));
  const refused = finished.filter(({ code }) => code !== 0);
  expect(refused.map(({ stderr }) => stderr).filter((stderr) => !TOO_LATE.test(stderr))).toEqual([]);
  const done = finished.filter(({ code }) => code === 0).map(({ stdout }) => JSON.parse(stdout));
  expect(done.map(({ how }) => how).filter((how) => how === 'injected')).toHaveLength(1);
  expect(done.filter(({ how }) => !['injected', 'already'].includes(how))).toEqual([]);

  await untilAlone(service.pid);
  expect(copiesOfLibrary(service.pid)).toBe(1);
  expect(headerOf(done[0])).toMatchObject({ state: 'running', attachments: 1 });
  await ask(service, '/leak');
  expect(total(samplesAt(await profileOf(shop, service.pid), SITE))).toEqual(allInUse(SITE));
  await endWell(service);
});
