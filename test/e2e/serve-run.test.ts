// Promise: `cgoprof run --serve` serves the processes of its command for as long as that runs, leaves the command's output
// and exit status alone, and says why there is nothing to serve.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';
import { Workshop } from '../support/cgoprof.js';
import { check, rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Relay } from '../support/relay.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

const HELD = siteOf('service', 'held');
const CHILD = siteOf('service', 'child');
const GO = siteOf('service', 'go');
const HEAP = '/debug/pprof/heap';

const execute = promisify(execFile);
const ENV = { ...process.env, PPROF_TMPDIR: tmpdir() };

let shop: Workshop;
let service: string;
beforeAll(async () => {
  service = await buildTargetAside('service');
  shop = new Workshop();
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

const file = (): string => shop.path('served.pb.gz');

/** What a profile that is served says of a site. */
async function served(serving: ServingTool, site: typeof HELD, path = HEAP): Promise<number[]> {
  return total(samplesAt(rawSamples(await serving.fetchTo(path, file())), site));
}

/** Starts a command line under `run --serve`, and waits until it is served. */
async function start(flags: readonly string[], command: readonly string[]) {
  const running = await Service.run(shop, ['--rate', '1', '--serve', '127.0.0.1:0', ...flags], command);
  const serving = new ServingTool(running.tool);
  return { running, serving };
}

/** A process that has begun is found within a second. */
async function untilServed(serving: ServingTool, path = HEAP): Promise<void> {
  while ((await serving.get(path)).status !== 200);
}

describe('a service', () => {
  it('is served with both sides, and its end and its output are its own', async () => {
    const relay = await Relay.start();
    const { running, serving } = await start(['--go', relay.url], [service]);
    relay.target = running.url;
    await untilServed(serving);
    for (const path of [HEAP, `/p/service${HEAP}`]) {
      expect(await served(serving, HELD, path)).toEqual(allInUse(HELD));
      expect(await served(serving, GO, path)).toEqual(allInUse(GO));
    }
    // Not while this process stands still: the relay is in it.
    const { stdout: table } = await execute(findGo(), ['tool', 'pprof', '-top', `${serving.url}${HEAP}`], { env: ENV });
    expect(table).toMatch(/ hold\n/);
    expect(table).toMatch(/ main\.holdGo\n/);
    await running.obey('grow');
    expect(await served(serving, HELD)).toEqual(allInUse(HELD, 2));

    const { url } = serving;
    const end = await running.end('exit 7');
    expect(end.code).toBe(7);
    expect(end.stdout).toMatch(/^pid \d+\nlistening on \S+\nready\ndone\n$/);
    expect(end.stderr).toBe(`cgoprof: listening on ${url}; look at it: go tool pprof ${url}/debug/pprof/heap\n`);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    expect(shop.segmentNames()).toEqual([]);
  });

  it('killed by a signal ends run by that signal; -o is written as well', async () => {
    const output = shop.path('merged.pb.gz');
    const { running, serving } = await start(['-o', output], [service]);
    await untilServed(serving);
    process.kill(running.pid, 'SIGKILL');
    expect(await running.finished).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(total(samplesAt(rawSamples(output), HELD))).toEqual(allInUse(HELD));
  });
});

describe('several processes', () => {
  it('each under its name', async () => {
    const { running, serving } = await start(['--follow', '--profile', 'all'], [service]);
    running.tell('children');
    await running.line(/^child c cat \d+$/m);
    const names = ['service', 'service-2', 'service-3', 'cat', 'cat-2'];
    for (const name of names) await untilServed(serving, `/p/${name}${HEAP}`);
    expect(await served(serving, HELD)).toEqual(allInUse(HELD));
    for (const name of ['service-2', 'service-3']) {
      expect(await served(serving, CHILD, `/p/${name}${HEAP}`)).toEqual(allInUse(CHILD));
      expect(await served(serving, HELD, `/p/${name}${HEAP}`)).toEqual([0, 0, 0, 0]);
    }
    expect((await serving.get(`/p/service-4${HEAP}`)).status).toBe(404);
    running.tell('end children');
    await serving.said(/^cgoprof: service-2: pid \d+ has ended/m);
    expect(await served(serving, CHILD, `/p/service-2${HEAP}`)).toEqual(allInUse(CHILD));
    expect(check(file()).Comments).toContainEqual(expect.stringMatching(/^cgoprof: pid \d+ has ended/));
  });

  it('what is started anew is served where it was', async () => {
    const script = 'trap : TERM; for i in 1 2 3; do "$0"; done';
    const { running, serving } = await start([], ['sh', '-c', script, service]);
    const pids: number[] = [];
    for (let i = 0; i < 3; i++) {
      const pid = await newPid(running, pids);
      pids.push(pid);
      if (i > 0) await serving.said(new RegExp(`^cgoprof: service: pid ${pid} is served now$`, 'm'));
      else await untilServed(serving);
      expect(await served(serving, HELD)).toEqual(allInUse(HELD));
      expect((await serving.get(`/p/service-2${HEAP}`)).status).toBe(404);
      process.kill(pid, 'SIGKILL');
    }
    expect((await running.finished).code).toBe(137);
  });
});

/** The pid of the next service that is ready. */
async function newPid(running: Service, known: readonly number[]): Promise<number> {
  const found = new RegExp(`(?:^pid (\\d+)\\n(?:listening.*\\n)ready\\n[^]*?){${known.length + 1}}`, 'm');
  return Number((await running.line(found))[1]);
}

describe('nothing to serve', () => {
  it('is answered with the reason', async () => {
    const tool = shop.start(['run', '--serve', '127.0.0.1:0', 'sh', '-c', 'cat'], { stdin: 'pipe' });
    onTestFinished(() => tool.destroy());
    const serving = new ServingTool(tool);
    await serving.listening();
    for (const path of [HEAP, `/p/sh${HEAP}`]) {
      expect(await serving.get(path)).toEqual({
        status: 503,
        text: expect.stringMatching(
          /^cgoprof: run: sh: none of its processes is profiled yet\n {2}A program that is not Go/,
        ),
      });
    }
    tool.process.stdin?.end();
    expect((await tool.finished).code).toBe(0);
  });

  it('is answered with what the library says', async () => {
    const env = { CGOPROF_DIR: '/proc/1' };
    const tool = shop.start(['run', '--serve', '127.0.0.1:0', '--', service], { stdin: 'pipe', env });
    onTestFinished(() => tool.destroy());
    const serving = new ServingTool(tool);
    await serving.listening();
    let answer = await serving.get(HEAP);
    while (/yet/.test(answer.text)) answer = await serving.get(HEAP);
    expect(answer).toEqual({
      status: 503,
      text: expect.stringMatching(/^cgoprof: run: service: pid \d+: not profiled/),
    });
    tool.process.stdin?.end();
    expect((await tool.finished).code).toBe(0);
  });
});

describe('the command line', () => {
  it('a port in use is said before the command is started', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { code, stdout, stderr } = await shop.run(['run', '--serve', `127.0.0.1:${port}`, '--', 'echo', 'started']);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^cgoprof: listening on \S+: address already in use\n {2}Is another [^\n]+\n$/),
    });
  });

  it.each([
    [['--serve=127.0.0.1:0', 'echo', '--serve', 'x', '-o', 'y'], '--serve x -o y\n'],
    [['--serve', '0', 'echo', '-o', 'y'], '-o y\n'],
    [['--rate', '1', '--serve', '127.0.0.1:0', '--', 'echo', 'a'], 'a\n'],
    [['--serve', '127.0.0.1:0', '--rate', '1', 'echo', '--rate', 'x'], '--rate x\n'],
  ])('%j', async (words, printed) => {
    const { code, stdout, stderr } = await shop.run(['run', ...words]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: printed });
    expect(stderr).toMatch(/^cgoprof: listening on http:\/\/127\.0\.0\.1:\d+;/);
    expect(stderr).toContain('cgoprof: C side only: no --go\n');
  });
});
