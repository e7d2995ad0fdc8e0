// What net/http/pprof answers itself is compared in test/e2e/serve-protocol.test.ts; here is what has no service to compare.
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { FollowedSegment, FollowedTarget } from '../../../src/collect/followed-target.js';
import { Upstream } from '../../../src/collect/upstream.js';
import { CgoprofError } from '../../../src/errors.js';
import { Exchange } from '../../../src/serve/exchange.js';
import { answerPprof, answerWithoutSlash } from '../../../src/serve/pprof-routes.js';
import { ServedTarget } from '../../../src/serve/served-target.js';
import { Turns } from '../../../src/serve/turns.js';
import { FakeWorld } from '../../support/fake-world.js';
import { serve } from '../../support/http-server.js';
import { until } from '../../support/service.js';

/** A target of which only that much is there. */
function target(parts: Partial<ServedTarget> = {}): ServedTarget {
  return parts as ServedTarget;
}

/** A target whose process lives. */
function living(): ServedTarget {
  const world = new FakeWorld();
  onTestFinished(() => world.remove());
  const path = world.segment('10-1.seg');
  const found = { path, header: world.native.readSegmentHeader(path), livePid: 10 };
  const current = { found, path, livePid: 10, end: undefined };
  return new ServedTarget(world.context(), world.native, {
    name: 'api',
    followed: { current: () => current } as unknown as FollowedTarget,
    upstream: undefined,
    showPlumbing: false,
    symbols: { load: async () => new Map(), store: async () => {} },
    turns: new Turns(),
  });
}

/** So many that, as in Go, they are over at once. */
const OVER_AT_ONCE = 2n ** 62n;

/** Answers one request below /debug/pprof/. */
async function ask(path: string, served: ServedTarget, init: RequestInit = {}, over = () => {}): Promise<Response> {
  const server = await serve((request, response) => {
    const url = new URL(`http://localhost${request.url}`);
    const exchange = new Exchange(request, response, url, url.pathname);
    const answered = answerPprof(exchange, served, url.pathname.slice(1), [served]);
    answered.catch((error: unknown) => exchange.fail(error)).finally(over);
  });
  onTestFinished(() => server.close());
  return fetch(`${server.url}/${path}`, init);
}

test.each(['goroutine', 'profile', 'trace?seconds=1', 'example.org/pool.lent', 'a%2fb'])(
  'without a service there is no %s, and the answer says why',
  async (path) => {
    const response = await ask(path, target());
    expect([response.status, await response.text(), response.headers.get('x-go-pprof')]).toEqual([
      404,
      'Unknown profile\n  It would be the service’s own, but none was named with --go.\n',
      '1',
    ]);
  },
);

test.each(['heap/', 'a%252fb', 'x%5cy'])('no service has %s', async (path) => {
  const response = await ask(path, target());
  expect([response.status, await response.text()]).toEqual([404, 'Unknown profile\n']);
});

test('of a process that has ended nothing changes any more', async () => {
  const at = new Date('2026-11-22T03:06:00Z');
  const current = () => ({ end: { at, how: 'died' } }) as FollowedSegment;
  const response = await ask('heap?seconds=30', target({ name: 'api', current }));
  expect([response.status, await response.text()]).toEqual([
    503,
    'cgoprof: api: its process has ended at 2026-11-22T03:06:00.000Z: nothing changes any more\n',
  ]);
});

test.each([
  ['heap', ''],
  ['allocs', 'alloc_space'],
])('what changes is %s, as viewers show it', async (name, type) => {
  const response = await ask(`${name}?seconds=${OVER_AT_ONCE}`, living());
  expect(response.headers.get('content-disposition')).toBe(`attachment; filename="${name}-delta"`);
  const { defaultSampleType, stringTable } = Profile.decode(gunzipSync(Buffer.from(await response.arrayBuffer())));
  expect(stringTable.strings[Number(defaultSampleType)]).toBe(type);
});

test('of all who wait for changes no more than sixteen do at once, and who leaves makes room', async () => {
  const served = living();
  const begun = vi.spyOn(served, 'segment');
  const leaving = new AbortController();
  let over = 0;
  const wait = () =>
    ask('heap?seconds=3600', served, { signal: leaving.signal }, () => {
      over += 1;
    }).catch(() => undefined);
  const waiting = Array.from({ length: 16 }, wait);
  await until(() => begun.mock.calls.length === 16);
  const refused = await ask('heap?seconds=3600', served);
  expect([refused.status, await refused.text()]).toEqual([
    503,
    'cgoprof: 16 profiles over some seconds are being taken already\n',
  ]);
  leaving.abort();
  await Promise.all(waiting);
  await until(() => over === 16);
  expect((await ask(`heap?seconds=${OVER_AT_ONCE}`, served)).status).toBe(200);
});

test.each(['heap/', 'a%2f..%2f..%2fsecret', 'a%2f', '%2fa', 'a%252fb', 'x%5c..%5cy', 'a%3fb', 'a%0ab', 'goroutine%2f'])(
  'a service is not asked for %s',
  async (path) => {
    const service = await serve((_, response) => void response.end('asked'));
    onTestFinished(() => service.close());
    const response = await ask(path, target({ upstream: new Upstream(service.url) }));
    expect([response.status, service.requests]).toEqual([404, []]);
  },
);

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('nothing is %sed', async (method) => {
  const response = await ask('heap', target(), { method });
  expect([response.status, response.headers.get('allow'), await response.text()]).toEqual([
    405,
    'GET, HEAD',
    'Method Not Allowed\n',
  ]);
});

test('the folder is sent to its slash with its query, which is no markup in the page that says so', async () => {
  const server = await serve((request, response) => {
    const url = new URL(`http://localhost${request.url}`);
    answerWithoutSlash(new Exchange(request, response, url, url.pathname));
  });
  onTestFinished(() => server.close());
  const response = await fetch(`${server.url}/p/api/debug/pprof?a=1&b="<i>'`, { redirect: 'manual' });
  expect([response.status, response.headers.get('location')]).toEqual([307, '/p/api/debug/pprof/?a=1&b=%22%3Ci%3E%27']);
  expect(await response.text()).toBe(
    '<a href="/p/api/debug/pprof/?a=1&amp;b=%22%3Ci%3E%27">Temporary Redirect</a>.\n\n',
  );
});

test('a service that does not say its command line within two seconds is not waited for', async () => {
  const patience = AbortSignal.timeout.bind(AbortSignal);
  const waited: number[] = [];
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    waited.push(ms);
    return patience(20);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const silent = await serve(() => {});
  onTestFinished(() => silent.close());
  const served = target({ upstream: new Upstream(silent.url), commandLine: () => './server' });
  const response = await ask('cmdline', served);
  expect([response.status, await response.text(), waited]).toEqual([200, './server', [2_000]]);
});

test.each(['heap?go=nome', 'allocs?debug=1&go=', 'heap?seconds=1&go=http://h'])(
  '%s is a slip of the pen',
  async (path) => {
    const response = await ask(path, target({ current: () => ({}) as FollowedSegment }));
    expect([response.status, await response.text()]).toEqual([
      400,
      'invalid value for go: only none, for the C side alone\n',
    ]);
  },
);

test('the command line is what the kernel knows, where the service says nothing', async () => {
  const upstream = new Upstream('http://127.0.0.1:6060');
  upstream.open = () => Promise.reject(new CgoprofError({ what: 'service', why: 'connection refused' }));
  const words = () => Buffer.from('./server\0-port\0');
  for (const served of [target({ commandLine: words }), target({ upstream, commandLine: words })]) {
    const response = await ask('cmdline', served);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(await response.text()).toBe('./server\0-port\0');
  }
});
