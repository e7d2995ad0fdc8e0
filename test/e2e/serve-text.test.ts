// Promise: `go tool pprof http://…/debug/pprof/heap?debug=1` names C functions as well as Go's and tells the numbers of the
// profile in protobuf; addresses have the names that the service's own net/http/pprof gives them.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';
import { attach, headerOf } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { checkedSamples, type PprofSample, top, topRows } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { allInUse, linesOf, siteOf } from '../support/sites.js';

const [HELD, GO] = [siteOf('service', 'held'), siteOf('service', 'go')];
const TEXT = '/debug/pprof/heap?debug=1';

let shop: Workshop;
let program: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('service');
});
afterAll(() => shop.remove());

/** What `go tool pprof` makes of a URL, names that it has asked for included. @returns a file */
async function fetched(url: string): Promise<string> {
  const file = shop.path(`fetched-${++fetches}.pb.gz`);
  const env = { ...process.env, PPROF_TMPDIR: shop.root, PPROF_BINARY_PATH: '/nonexistent' };
  await promisify(execFile)(findGo(), ['tool', 'pprof', '-proto', `-output=${file}`, url], { env });
  return file;
}
let fetches = 0;

const namesOf = (sample: PprofSample): string[] => linesOf(sample).map(({ name }) => name);

/**
 * Values per stack of function names, of those that the program's own work makes: serving a profile allocates too. Frames
 * of Go's runtime are left out, some of which pprof leaves out of texts.
 */
function stacks(samples: readonly PprofSample[]): Record<string, number[]> {
  const sums: Record<string, number[]> = {};
  for (const sample of samples) {
    const names = namesOf(sample).filter((name) => !/^runtime\./.test(name));
    if (!names.some((name) => /^main\.hold(C|Go)$/.test(name))) continue;
    const sum = sums[names.join(' < ')] ?? [0, 0, 0, 0];
    sums[names.join(' < ')] = sum.map((value, i) => value + (sample.values[i] ?? 0));
  }
  return sums;
}

it('to the byte, where every allocation is recorded', async () => {
  const service = await Service.run(shop, ['--rate', '1', '--go', 'none'], [program]);
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
  const file = await fetched(`${serving.url}${TEXT}`);
  const both = stacks(checkedSamples(file));
  expect(both['hold < main._Cfunc_hold < main.holdC < main.main']).toEqual(allInUse(HELD));
  const protobuf = await serving.fetchTo('/debug/pprof/heap', shop.path('protobuf.pb.gz'));
  expect(both).toEqual(stacks(checkedSamples(protobuf)));
  expect(top('-sample_index=inuse_space', file).get('hold')).toEqual([HELD.bytes, HELD.bytes]);
  expect(top('-sample_index=inuse_space', file).get('main.holdGo')?.[0]).toBeGreaterThanOrEqual(GO.bytes);

  const text = await serving.get('/debug/pprof/allocs?debug=1');
  expect(text.text).toMatch(/^heap profile: \d+: \d+ \[\d+: \d+\] @ heap\/2\n/);
  expect(text.text).toMatch(new RegExp(`^#\t0x[0-9a-f]+\thold\t+${HELD.path}:${HELD.line}$`, 'm'));
  expect(text.text).toMatch(/^#\t0x[0-9a-f]+\tmain\.holdGo\+0x[0-9a-f]+\t+.*\/main\.go:\d+$/m);
  expect(text.text).toMatch(
    /^# runtime\.MemStats\n# Alloc = [1-9]\d*\n(# .*\n)+# MaxRSS = \d+\n\n(# cgoprof: .*\n)+$/m,
  );
});

it('the same estimates, where C and Go are sampled at rates of their own', async () => {
  const service = await Service.run(shop, ['--go', 'none'], [program]);
  for (let i = 0; i < 150; i++) await service.obey('grow'); // 15 MB: some 30 samples
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
  const text = stacks(checkedSamples(await fetched(`${serving.url}${TEXT}&gc=1`)));
  const protobuf = await serving.fetchTo('/debug/pprof/heap?gc=1', shop.path('protobuf.pb.gz'));
  expect(text).toEqual(stacks(checkedSamples(protobuf)));
  const [, , objects = 0, bytes = 0] = text['hold < main._Cfunc_hold < main.holdC < main.obey < main.main'] ?? [];
  expect(objects).toBeGreaterThan(101);
  expect(Math.floor(bytes / objects)).toBe(1009);
});

it('without a service, and of memory that was there before the attach', async () => {
  const service = await Service.start(shop, [program]);
  const attached = await attach(shop, service.pid);
  await service.obey('grow');
  const serving = await ServingTool.start(shop, `${service.pid}`);
  const rows = topRows('-sample_index=inuse_space', await fetched(`${serving.url}${TEXT}`));
  const flat = (wanted: string) => rows.find(({ name }) => name === wanted)?.flat;
  expect(flat('hold')).toBe(HELD.bytes);
  expect(headerOf(attached).beforeAttachBytes).toBeGreaterThan(HELD.bytes);
  expect(flat('[allocated before attach]')).toBe(headerOf(attached).beforeAttachBytes);
});

it('of a process that has ended, what it left and the last that its Go side said', async () => {
  const service = await Service.run(shop, ['--rate', '1', '--go', 'none'], [program]);
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
  const protobuf = await serving.fetchTo('/debug/pprof/heap', shop.path('protobuf.pb.gz'));
  await service.end('return');
  const both = stacks(checkedSamples(await fetched(`${serving.url}${TEXT}`)));
  expect(both).toEqual(stacks(checkedSamples(protobuf)));
  expect(Object.keys(both)).toContain('hold < main._Cfunc_hold < main.holdC < main.main');
  expect((await serving.get(TEXT)).text).toMatch(/^# cgoprof: pid \d+ has ended/m);
});

it('every address of the service’s own text has the name that the service gives it', async () => {
  const service = await Service.run(shop, ['--rate', '1', '--go', 'none'], [program]);
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
  const own = await (await fetch(`${service.url}${TEXT}`)).text();
  const records = own.match(/^\d+: .* @.*$/gm) ?? [];
  const addresses = [...new Set(records.flatMap((record) => record.match(/0x[0-9a-f]+/g) ?? []))];
  expect(addresses.length).toBeGreaterThan(100);
  const calls = addresses.map((address) => `0x${(BigInt(address) - 1n).toString(16)}`).join('+');
  const expected = await (await fetch(`${service.url}/debug/pprof/symbol?${calls}`)).text();
  expect(expected.split('\n').length).toBe(addresses.length + 2);
  expect((await serving.get(`/debug/pprof/symbol?${calls}`)).text).toBe(expected);
  const posted = await fetch(`${serving.url}/debug/pprof/symbol`, { method: 'POST', body: calls });
  expect(await posted.text()).toBe(expected);
});
