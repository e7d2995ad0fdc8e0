// Promise: where the library cannot make its segment, the program runs on without it, and `ps` and `heap` say why.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';

let shop: Workshop;
let service: string;
let oldKernel: string;
beforeAll(async () => {
  service = await buildTargetAside('service');
  shop = new Workshop();
  const source = new URL('../native/preload/programs/old_kernel.c', import.meta.url);
  oldKernel = shop.compile('old_kernel', readFileSync(source, 'utf8'));
});
afterAll(() => shop.remove());

const OWN_MOUNTS = ['unshare', '--user', '--map-root-user', '--mount'];
const canMountBy = (script: string): boolean =>
  spawnSync(OWN_MOUNTS[0] ?? '', [...OWN_MOUNTS.slice(1), 'sh', '-ec', script]).status === 0;
const canMount = canMountBy('mount -t tmpfs none /mnt');

/** Mounts on $DIR a file system that copies on write. */
const OVERLAY = `mkdir -m 700 $DIR; mount -t tmpfs none /mnt; mkdir -m 700 /mnt/lower /mnt/upper /mnt/work;
  mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none $DIR;`;
const canMountOverlay = canMountBy(`mount -t tmpfs none /tmp; DIR=/tmp/dir; ${OVERLAY}`);

/** The service, started by a shell that prepares the failure; $DIR is CGOPROF_DIR. "$@" is what starts the service. */
async function expectNotStarted(prepare: string, why: string, hint: RegExp): Promise<void> {
  const DIR = shop.path('elsewhere');
  rmSync(DIR, { recursive: true, force: true });
  const command = ['sh', '-c', `${prepare} exec "$@" ${service}`];
  const env = { DIR, CGOPROF_DIR: DIR, OLD_KERNEL: oldKernel };
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
  ['set -- $OLD_KERNEL 18;', 'the kernel cannot keep it from forked children', /Linux 4\.14/], // MADV_WIPEONFORK
])('after %s', expectNotStarted);

it.runIf(canMount).each([
  ['mkdir -p -m 700 $DIR; mount -t tmpfs -o size=64k,mode=700 none $DIR;', 'there was no room for it', /df -h/],
  [
    'mkdir -p -m 700 $DIR; mount -t tmpfs -o mode=700,nr_inodes=1 none $DIR;',
    'its file could not be made',
    /writable to the process/,
  ],
])('after %s', expectNotStarted);

it.runIf(canMountOverlay)('on a file system that copies on write', () =>
  expectNotStarted(
    OVERLAY,
    'its directory lies on a file system that may run out of room for pages that were taken',
    /Only tmpfs, ramfs, ext4 and xfs/,
  ),
);
