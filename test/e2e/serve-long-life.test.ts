// Promise: a server that is asked for everything, over and over, holds no more for it: neither memory nor descriptors. The
// whole day is `npm run bench:serve`.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';

const PROBE = fileURLToPath(new URL('../../scripts/lib/serve-probe.mjs', import.meta.url));

const PATHS = [
  '/debug/pprof/heap',
  '/debug/pprof/heap?gc=1',
  '/debug/pprof/allocs',
  '/debug/pprof/heap?debug=1',
  '/debug/pprof/heap?go=none',
  '/debug/pprof/symbol?0x400100+0x7f0000000000',
  '/debug/pprof/goroutine?debug=1',
  '/debug/pprof/cmdline',
  '/debug/pprof/',
  '/live.json',
  '/metrics',
  '/',
];

/** Rounds in which code is compiled and caches are filled, and those that must leave nothing behind. */
const [WARM_UP, ROUNDS] = [15, 30];

/** What compiled code may add meanwhile, bytes: profiles that are kept would be a hundred times as much. */
const ROOM = 1_000_000;

let shop: Workshop;
let program: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('service');
});
afterAll(() => shop.remove());

it('asked for everything, over and over', async () => {
  const service = await Service.run(shop, ['--rate', '1'], [program]);
  const tool = fork(
    shop.path('cgoprof/dist/cli.js'),
    ['serve', `${service.pid}`, '--go', service.url, '--listen', '127.0.0.1:0'],
    {
      env: { ...process.env, CGOPROF_DIR: shop.segments },
      execArgv: ['--expose-gc', '--import', PROBE],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    },
  );
  onTestFinished(() => void tool.kill('SIGKILL'));
  const url = await new Promise<string>((resolve) => {
    createInterface({ input: tool.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      const [, found] = /listening on ([^;\s]+)/.exec(line) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  const ask = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    await response.arrayBuffer();
    expect([path, response.status]).toEqual([path, 200]);
  };
  const round = async () => {
    for (const path of PATHS) await ask(path);
  };
  const held = async () => {
    tool.send('');
    const [{ heapUsed }] = (await once(tool, 'message')) as [{ heapUsed: number }];
    return { heapUsed, descriptors: readdirSync(`/proc/${tool.pid}/fd`).length };
  };
  for (let i = 0; i < WARM_UP; i++) await round();
  const before = await held();
  for (let i = 0; i < ROUNDS; i++) await round();
  const after = await held();
  expect(after.heapUsed - before.heapUsed).toBeLessThan(ROOM);
  expect(after.descriptors).toBe(before.descriptors);
});
