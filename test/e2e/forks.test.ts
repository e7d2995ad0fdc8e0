// Promise: a service may make child processes in every way there is. None crashes, none changes what the service's own
// profile says, and none is profiled unless that is asked for.
import { readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessRow } from '../../src/present/ps-table.js';
import { Workshop } from '../support/cgoprof.js';
import { check, rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { untilLooked } from '../support/run-looks.js';
import { Service } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());
beforeEach(() => {
  for (const name of segments()) rmSync(join(shop.segments, name));
});

const bash = realpathSync('/bin/bash');

const output = (): string => shop.path('merged.pb.gz');
const segments = (): string[] => readdirSync(shop.segments);

/** Writes the profile of a living process. */
async function heap(pid: number): Promise<string> {
  const file = shop.path('heap.pb.gz');
  const { code, stderr } = await shop.run(['heap', `${pid}`, '-o', file]);
  // Nothing to say of lost samples, unseen frees or stacks that end early.
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^cgoprof: wrote .*\ncgoprof: only the C side; .*\n$/)]);
  return file;
}

/** What `cgoprof ps` lists of this test's. */
async function processes(): Promise<ProcessRow[]> {
  const rows = JSON.parse((await shop.run(['ps', '--json'])).stdout) as ProcessRow[];
  return rows.filter(({ segment }) => segment.startsWith(shop.segments));
}

const running = async (): Promise<ProcessRow[]> => (await processes()).filter(({ state }) => state === 'running');

describe('forks and what they execute', () => {
  const SITES = ['before', 'after', 'child'].map((name) => siteOf('forks', name));

  function expectExact(file: string): void {
    const samples = rawSamples(file);
    const totals = SITES.map((site) => total(samplesAt(samples, site)));
    expect(totals).toEqual(SITES.map((site) => allInUse(site)));
  }

  it('leave the parent alone and run bare', async () => {
    const service = await Service.run(shop, ['--rate', '1', '-o', output()], [await buildTargetAside('forks')]);
    expect((await running()).map(({ pid, losses }) => ({ pid, losses }))).toEqual([{ pid: service.pid, losses: {} }]);
    expect(segments()).toHaveLength(1);
    expectExact(await heap(service.pid));
    expect(await service.end('')).toMatchObject({ code: 0, signal: null });
    expectExact(output());
    expect(segments()).toEqual([]);
  });

  it('are profiled as processes of their own with --follow --profile all, once they execute something', async () => {
    const args = ['--rate', '1', '-o', output(), '--follow', '--profile', 'all'];
    const service = await Service.run(shop, args, [await buildTargetAside('forks')]);
    expect((await running()).map(({ pid }) => pid)).toEqual([service.pid]);
    // All of them are kept for the profile of the run, not just the 8 that dead processes may leave behind otherwise.
    expect(segments().length).toBeGreaterThan(10);
    expectExact(await heap(service.pid));
    expect(await service.end('')).toMatchObject({ code: 0, signal: null });
    expectExact(output());
    expect(segments()).toEqual([]);
  });
});

it('a run that leaves more than 256 MiB says how many processes are missing', async () => {
  const program = shop.compile(
    'leak',
    '#include <stdlib.h>\nvoid *kept;\nint main(void) { kept = malloc(97); return 0; }\n',
  );
  const each = 5 * 2 ** 20; // what a segment takes at least in exact mode
  const processes = Math.ceil((256 * 2 ** 20) / each) + 10;
  const script = `for i in ${'x '.repeat(processes)}; do ${program}; done`;
  const args = ['run', '--rate', '1', '--follow', '--profile', 'all', '-o', output(), '--', 'sh', '-c', script];
  const { code, stderr } = await shop.run(args);
  const missing = Number(
    /^cgoprof: .* missing, because their segments were removed: at least (\d+)$/m.exec(stderr)?.[1],
  );
  const inProfile = rawSamples(output()).filter(({ stack }) => stack[0]?.lines[0]?.name === 'main');
  expect([code, inProfile.length, missing]).toEqual([0, 1, expect.any(Number)]);
  expect(missing).toBeGreaterThan(0);
  expect(inProfile[0]?.values[2]).toBe(processes - missing);
});

describe('a service that executes itself', () => {
  const HELD = siteOf('service', 'held');

  it('is profiled anew with --follow: what it held before is gone', async () => {
    const args = ['--rate', '1', '-o', output(), '--follow'];
    const service = await Service.run(shop, args, [await buildTargetAside('service')]);
    await service.obey('grow');
    service.tell('exec');
    await service.line(/^ready$[\s\S]*^ready$/m);
    expect((await running()).map(({ pid }) => pid)).toEqual([service.pid]);
    expect(total(samplesAt(rawSamples(await heap(service.pid)), HELD))).toEqual(allInUse(HELD));
    expect(await service.end('return')).toMatchObject({ code: 0, signal: null });
    expect(total(samplesAt(rawSamples(output()), HELD))).toEqual(allInUse(HELD));
    expect(segments()).toEqual([]);
  });

  it('runs bare without, and that is said', async () => {
    const service = await Service.run(shop, ['--rate', '1', '-o', output()], [await buildTargetAside('service')]);
    service.tell('exec');
    await service.line(/^ready$[\s\S]*^ready$/m);
    const { code, stderr } = await shop.run(['heap', `${service.pid}`, '-o', output()]);
    const [segment] = segments();
    expect([code, stderr]).toEqual([
      1,
      `cgoprof: pid ${service.pid}: not profiled any more: it has executed another program, without libcgoprof.so\n` +
        `  What it held until then: cgoprof heap ${shop.segments}/${segment}; 'cgoprof run --follow' profiles what comes after.\n`,
    ]);
    // What is left is the segment of the program that was there before.
    expect((await processes()).map(({ pid, state }) => ({ pid, state }))).toEqual([
      { pid: service.pid, state: 'died' },
    ]);
    await untilLooked(shop.segments);
    const note = `cgoprof: pid ${service.pid} executed another program, which was not profiled (see --follow); what is known of it ends there`;
    const { code: status, stderr: said } = await service.end('return');
    expect([status, said]).toEqual([0, expect.stringContaining(`${note}\n`)]);
    expect(check(output()).Comments).toContain(note);
    expect(segments()).toEqual([]);
  });

  it('and then another program that --profile does not choose: that is said, without advice to follow', async () => {
    const script = 'echo pid $$; echo ready; read go; exec sh -c "echo other; read end"';
    const args = ['--rate', '1', '-o', output(), '--follow', '--profile', basename(bash)];
    const service = await Service.run(shop, args, [bash, '-c', script]);
    service.tell('');
    await service.line(/^other$/m);
    await untilLooked(shop.segments);
    const note = `cgoprof: pid ${service.pid} executed another program, which was not profiled; what is known of it ends there\n`;
    expect(await service.end('')).toMatchObject({ code: 0, stderr: expect.stringContaining(note) });
  });
});
