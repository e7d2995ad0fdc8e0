// Promise: a process into which the library was preloaded is asked, not traced: attach and detach reach it by files alone,
// whether it was dormant from its start on or is paused.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask, type Controlled, compilePlugin, endWell, headerOf, profileOf } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service, until } from '../support/service.js';
import { samplesAt, siteOf, total } from '../support/sites.js';

/** Every system call by which one process can act on another, but for what it does to files. */
const REACHING = 'ptrace,kill,tkill,tgkill,rt_sigqueueinfo,process_vm_readv,process_vm_writev,pidfd_send_signal';
const SITE = siteOf('attach-service', 'malloc');

let shop: Workshop;
let program: string;
let plugin: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('attach-service');
  plugin = compilePlugin(shop);
});
afterAll(() => shop.remove());

/** The service with its busy threads, which look for a request every few MiB. */
const start = (env: Readonly<Record<string, string>>) =>
  Service.start(shop, [program, plugin], { env: { LD_PRELOAD: shop.library, ...env } });

/** Runs the tool and looks at what it does to others. */
async function quietly(...words: string[]): Promise<Controlled> {
  const calls = shop.path('calls');
  const trace = ['strace', '-f', '-qq', '-e', `trace=${REACHING}`, '-e', 'signal=none', '-o', calls];
  const { code, stdout, stderr } = await shop.launch([...trace, ...shop.tool, ...words, '--json']).finished;
  if (code !== 0) throw new Error(`${words.join(' ')}: exit status ${code}: ${stderr}`);
  const made = readFileSync(calls, 'utf8').trimEnd().split('\n');
  expect(made.filter((line) => /^\d+ +\w+\(/.test(line))).toEqual([]);
  return JSON.parse(stdout) as Controlled;
}

/** Blocks that were allocated at one line of the service, as its profile says. */
async function blocksAtSite(pid: number): Promise<number> {
  const [blocks = 0] = total(samplesAt(await profileOf(shop, pid), SITE));
  return blocks;
}

/** Each thread of it sees what is asked when it has allocated enough: it is given work until a leak is recorded. */
async function untilRecorded(service: Service): Promise<void> {
  const before = await blocksAtSite(service.pid);
  while ((await blocksAtSite(service.pid)) === before) {
    for (let request = 0; request < 30; request++) await ask(service, '/work');
    await ask(service, '/leak');
  }
}

it('one that is dormant since its start', async () => {
  const service = await start({ CGOPROF_PROFILE: 'somebody-else' });
  expect(shop.segmentNames()).toEqual([]);
  const asked = await quietly('attach', `${service.pid}`, '--rate', '1009');
  expect(asked).toMatchObject({ how: 'asked', stoppedNs: 0, threadId: 0, attempts: 0, patched: 0 });
  await until(() => shop.segmentNames().some((name) => name.endsWith('.seg')));
  expect(shop.segmentNames().filter((name) => name.endsWith('.on'))).toEqual([]);
  await untilRecorded(service);

  const again = await quietly('attach', `${service.pid}`);
  expect(again.how).toBe('already');
  expect(headerOf(again)).toMatchObject({ state: 'running', sampleRate: 1009, attachments: 1 });
  await endWell(service);
});

it('one that was recorded, and is paused', async () => {
  const service = await start({ CGOPROF_PROFILE: 'all', CGOPROF_RATE: '1009' });
  await untilRecorded(service);
  const paused = await quietly('detach', `${service.pid}`);
  expect(paused).toMatchObject({ how: 'asked', stoppedNs: 0 });
  await until(() => headerOf(paused).state === 'paused');

  const resumed = await quietly('attach', `${service.pid}`);
  expect(resumed).toMatchObject({ how: 'resumed', segment: paused.segment, stoppedNs: 0 });
  await until(() => headerOf(resumed).state === 'running');
  await untilRecorded(service);
  expect(headerOf(resumed)).toMatchObject({ wish: 'record', attachments: 0 });
  await endWell(service);
});
