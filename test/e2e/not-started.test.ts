// Promise: where the library cannot make its segment, the program runs on without it, and `ps` and `heap` say why.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';

let shop: Workshop;
let service: string;
beforeAll(async () => {
  service = await buildTargetAside('service');
  shop = new Workshop();
});
afterAll(() => shop.remove());

const OWN_MOUNTS = ['unshare', '--user', '--map-root-user', '--mount'];
const canMount =
  spawnSync(OWN_MOUNTS[0] ?? '', [...OWN_MOUNTS.slice(1), 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

/** The service, started by a shell that prepares the failure; $DIR is CGOPROF_DIR. */
async function expectNotStarted(prepare: string, why: string, hint: RegExp): Promise<void> {
  const DIR = shop.path('elsewhere');
  rmSync(DIR, { recursive: true, force: true });
  const command = ['sh', '-c', `${prepare} exec ${service}`];
  const env = { DIR, CGOPROF_DIR: DIR };
  const running = await Service.run(shop, ['--rate', '1'], canMount ? [...OWN_MOUNTS, ...command] : command, { env });
  await running.obey('grow');

  const sentence = `pid ${running.pid}: not profiled: it could not make a segment: ${why}`;
  expect((await shop.run(['ps'])).stderr).toContain(`cgoprof: warning: ${sentence}\n`);
  const { code, stderr } = await shop.run(['heap', `${running.pid}`]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(hint)]);
  expect(stderr).toContain(`cgoprof: ${sentence}\n`);

  expect(await running.end('return')).toMatchObject({ code: 0, signal: null });
}

it.each([
  ['mkdir $DIR; chmod 755 $DIR;', 'its directory could not be made, or is not its user’s alone', /mode 700/],
  ['ulimit -f 1;', 'the process may not write files that long', /ulimit -f unlimited/],
])('after %s', expectNotStarted);

it.runIf(canMount).each([
  ['mkdir -p -m 700 $DIR; mount -t tmpfs -o size=64k,mode=700 none $DIR;', 'there was no room for it', /df -h/],
  [
    'mkdir -p -m 700 $DIR; mount -t tmpfs -o mode=700,nr_inodes=1 none $DIR;',
    'its file could not be made',
    /writable to the process/,
  ],
])('after %s', expectNotStarted);
