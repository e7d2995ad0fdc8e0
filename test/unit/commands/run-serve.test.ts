// What `run --serve` serves of a run, as its processes come and go.
import { readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { serveRun } from '../../../src/commands/run-serve.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { heldSegments } from '../../support/held-segments.js';
import { serve } from '../../support/http-server.js';
import { PRELOADED, recordedProcess } from '../../support/profiled-process.js';

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
  symlinkSync('/proc/self', `${world.procRoot}/self`);
  // What the addon finds behind a descriptor is what it finds in the file.
  world.readUnknown = (path) => world.segments.get(readlinkSync(path)) as never;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  world.remove();
});

const RUN = 'abc';

/** A process of the run. */
function start(pid: number, program: string): void {
  const header = { runId: RUN, exePath: `/srv/${program}`, pid, startTimeTicks: 1n, createdUnixNs: BigInt(pid) };
  recordedProcess(world, pid, { library: PRELOADED, header });
}

const end = (pid: number): void => rmSync(`${world.procRoot}/${pid}`, { recursive: true });

/** @returns its URL, and what ends it; the test's end does so too */
async function serving(go: string | undefined): Promise<{ url: string; stop: () => void }> {
  const listen = { listen: { host: '127.0.0.1', port: 0 }, allowHost: [], showPlumbing: false };
  const stop = await serveRun(world.context(), world.native, {
    ...listen,
    runId: RUN,
    name: 'sh',
    go,
    failures: () => [],
  });
  onTestFinished(stop);
  return { url: /listening on (\S+);/.exec(world.err)?.[1] ?? '', stop };
}

const lookAgain = (): void => void vi.advanceTimersByTime(1_000);

async function statuses(url: string, ...paths: readonly string[]): Promise<number[]> {
  return Promise.all(paths.map(async (path) => (await fetch(`${url}${path}`)).status));
}

it('the service is that of the first process that lives, and of no other', async () => {
  const service = await serve((_, response) => response.end('stacks'));
  onTestFinished(() => service.close());
  start(10, 'api');
  start(11, 'worker');
  const { url } = await serving(service.url);
  const [api, worker] = ['/p/api/debug/pprof/goroutine', '/p/worker/debug/pprof/goroutine'];
  expect(await statuses(url, api, worker)).toEqual([200, 404]);
  end(10);
  lookAgain();
  expect(await statuses(url, api, worker)).toEqual([404, 200]);
});

it('what the service told last is there after its end, and while it is looked at again', async () => {
  const profile = goProfile({ samples: [{ stack: ['main.grow@m.go:9'], values: [1, 1009, 1, 1009] }] }).encode();
  const service = await serve((_, response) => response.end(profile));
  onTestFinished(() => service.close());
  start(10, 'api');
  const { url } = await serving(service.url);
  const functions = async () => {
    const answer = await fetch(`${url}/debug/pprof/heap`);
    return gunzipSync(await answer.arrayBuffer()).toString('latin1');
  };
  expect(await functions()).toContain('main.grow');
  end(10);
  lookAgain();
  expect(await functions()).toContain('main.grow');
  expect(service.requests).toHaveLength(1);
});

it.each([
  [undefined, 'C side only: no --go'],
  ['none', 'C side only: --go none'],
])('with --go %s there is C alone, which is said', async (go, said) => {
  start(10, 'api');
  const { url } = await serving(go);
  expect(world.err).toContain(`cgoprof: ${said}\n`);
  expect(await statuses(url, '/debug/pprof/heap', '/debug/pprof/goroutine')).toEqual([200, 404]);
});

it('a process that starts later is served, and at the end no segment is held', async () => {
  const { url, stop } = await serving('none');
  expect(await statuses(url, '/debug/pprof/heap')).toEqual([503]);
  start(10, 'api');
  lookAgain();
  expect(await statuses(url, '/debug/pprof/heap', '/p/api/debug/pprof/heap', '/p/sh/debug/pprof/heap')).toEqual([
    200, 200, 404,
  ]);
  expect(heldSegments(world.root)).toHaveLength(1);
  stop();
  expect(heldSegments(world.root)).toEqual([]);
});
