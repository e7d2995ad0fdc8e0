import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FollowedSegment, FollowedTarget } from '../../../src/collect/followed-target.js';
import type { GoHeapBytes } from '../../../src/collect/go-heap.js';
import { Upstream } from '../../../src/collect/upstream.js';
import { Guard, type GuardOptions } from '../../../src/serve/guard.js';
import { LiveTargets } from '../../../src/serve/live-data.js';
import { LIVE_PATHS } from '../../../src/serve/live-page.js';
import { MetricsPage } from '../../../src/serve/metrics.js';
import { ServedTarget } from '../../../src/serve/served-target.js';
import { MAX_PIPELINED, startServer } from '../../../src/serve/server.js';
import { Turns } from '../../../src/serve/turns.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { serve, type TestServer } from '../../support/http-server.js';
import { GENEROUS } from '../../support/patience.js';
import { generator } from '../../support/random.js';

const HEAP = '/debug/pprof/heap';
const GO: GoHeapBytes = {
  name: 'http://127.0.0.1:6060/debug/pprof/heap',
  bytes: goProfile({ samples: [{ stack: ['main.main@/srv/app/main.go:3'], values: [1, 7919, 1, 7919] }] }).encode(),
  takenAt: new Date(),
};

const OWN_PAGE = 'a page of its own';

let world: FakeWorld;
let service: TestServer;
let server: Server;
/** How often Go was asked for its heap, and how it answers. */
let asked = 0;
let answerGo: () => Promise<GoHeapBytes> = async () => GO;

beforeEach(async () => {
  world = new FakeWorld();
  service = await serve((_, response) => void response.end(OWN_PAGE));
  asked = 0;
  answerGo = async () => GO;
  server = await start();
});
afterEach(async () => {
  stop(server);
  await service.close();
  world.remove();
});

function start(token?: GuardOptions['token']): Promise<Server> {
  const target = fakeTarget('app');
  return startServer(
    world.context(),
    { targets: [target], live: new LiveTargets([target]), metrics: new MetricsPage([target]) },
    { host: '127.0.0.1', port: 0 },
    new Guard({ hosts: [], token }),
    GENEROUS,
  );
}

function stop(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function fakeTarget(name: string): ServedTarget {
  const path = world.segment('4321-1.seg');
  const found = { path, header: world.native.readSegmentHeader(path), livePid: undefined };
  const current: FollowedSegment = { found, path, livePid: undefined, end: undefined };
  const heap = () => {
    asked += 1;
    return answerGo();
  };
  return new ServedTarget(world.context(), world.native, {
    name,
    followed: { current: () => current } as FollowedTarget,
    upstream: Object.assign(new Upstream(service.url), { heap }),
    showPlumbing: false,
    symbols: { load: async () => new Map(), store: async () => {} },
    turns: new Turns(),
  });
}

const url = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

/** Sends requests, the last one as the last. @returns all that comes until the connection ends */
function exchange(bytes: string, to = server): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    connect((to.address() as AddressInfo).port, '127.0.0.1')
      .setEncoding('latin1')
      .on('data', (text: string) => (answer += text))
      .on('error', () => {})
      .on('close', () => resolve(answer))
      .write(bytes.replace(/\r\n\r\n$/, '\r\nConnection: close\r\n\r\n'), 'latin1');
  });
}

const statuses = (answer: string): string[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d+) [A-Z]/g)].map(([, status = '']) => status);

const REQUEST = `GET ${HEAP} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

test('a thousand who ask at once share one snapshot', async () => {
  let requests = 0;
  let answerAll: (answer: GoHeapBytes) => void = () => {};
  answerGo = () => new Promise((resolve) => (answerAll = resolve));
  server.on('request', () => {
    requests += 1;
    if (requests === 1_000) answerAll(GO);
  });
  const answers = await Promise.all(Array.from({ length: 40 }, () => exchange(REQUEST.repeat(25))));
  expect(answers.flatMap(statuses)).toEqual(Array(1_000).fill('200'));
  expect(asked).toBe(1);
  answerGo = async () => GO;
  await exchange(REQUEST);
  expect(asked).toBe(2);
});

describe('requests that come one behind the other', () => {
  test('are answered in their order', async () => {
    const unknown = REQUEST.replace('debug', 'none');
    expect(statuses(await exchange(REQUEST + unknown + REQUEST))).toEqual(['200', '404', '200']);
  });

  test('end the connection when they are too many to wait for', async () => {
    const answer = await exchange(REQUEST.repeat(2_000));
    expect(statuses(answer).length).toBeLessThan(2_000);
    expect((await fetch(url(HEAP))).status).toBe(200);
  });

  test('are waited for up to a number, and with one more not at all', async () => {
    let letGo: (answer: GoHeapBytes) => void = () => {};
    const stuck = new Promise<GoHeapBytes>((resolve) => (letGo = resolve));
    answerGo = () => stuck;
    expect(await exchange(REQUEST.repeat(MAX_PIPELINED + 1))).toBe('');
    const answered = exchange(REQUEST.repeat(MAX_PIPELINED));
    let waiting = 0;
    server.on('request', () => {
      waiting += 1;
      if (waiting === MAX_PIPELINED) letGo(GO);
    });
    expect(statuses(await answered)).toEqual(Array(MAX_PIPELINED).fill('200'));
  });
});

test('HTTP/1.0 is answered, and the connection ended', async () => {
  const answer = await exchange(`GET ${HEAP} HTTP/1.0\r\n\r\n`);
  expect(statuses(answer)).toEqual(['200']);
  expect(answer).toMatch(/^Connection: close\r$/m);
});

test.each([
  ['a request that is none', 'nonsense\r\n\r\n', '400'],
  ['no host', `GET ${HEAP} HTTP/1.1\r\n\r\n`, '400'],
  ['two hosts', `GET ${HEAP} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n`, '400'],
  ['another host', `GET ${HEAP} HTTP/1.1\r\nHost: evil.example\r\n\r\n`, '421'],
  ['a whole URL elsewhere', `GET http://evil.example${HEAP} HTTP/1.1\r\nHost: localhost\r\n\r\n`, '421'],
  ['another site’s page', `GET ${HEAP} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n`, '403'],
  ['a path that never ends', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, '431'],
  ['a header that never ends', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, '431'],
  [
    'two lengths',
    `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    '400',
  ],
  ['a target that is no path', `OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n`, '400'],
])('%s is refused, and nobody is asked for it', async (_, bytes, status) => {
  expect(statuses(await exchange(bytes))).toEqual([status]);
  expect(asked).toBe(0);
  expect((await fetch(url(HEAP))).status).toBe(200);
});

test('a tunnel is not dug', async () => {
  expect(await exchange('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n')).toBe('');
  expect((await fetch(url(HEAP))).status).toBe(200);
});

describe('a defect of ours', () => {
  test('is an error for the client, and one line for our user however often it shows', async () => {
    answerGo = () => Promise.reject(new Error('/etc/secret'));
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(url(HEAP));
      expect([answer.status, await answer.text()]).toEqual([500, 'cgoprof: internal error; its own log tells more\n']);
    }
    expect(world.err.match(/internal error: \/etc\/secret/g)).toHaveLength(1);
    answerGo = async () => GO;
    expect((await fetch(url(HEAP))).status).toBe(200);
  });

  test('is told for the first hundred of them only', async () => {
    let count = 0;
    answerGo = () => Promise.reject(new Error(`${count++}`));
    for (let i = 0; i < 101; i++) await exchange(REQUEST);
    expect(count).toBe(101);
    expect(world.err.match(/internal error: \d+$/gm)).toEqual(
      Array.from({ length: 100 }, (_, i) => `internal error: ${i}`),
    );
  });

  test('is not what a client that left calls off', async () => {
    let left: (error: Error) => void = () => {};
    answerGo = () => new Promise((_, reject) => (left = reject));
    const leaving = new AbortController();
    const answer = fetch(url(HEAP), { signal: leaving.signal });
    const closed = new Promise((resolve) => server.once('request', (_, response) => response.once('close', resolve)));
    while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await closed;
    left(new Error('called off'));
    expect((await fetch(url('/none'))).status).toBe(404);
    expect(world.err).toBe('');
  });
});

test.each(['/p/app', '/p/app/', '/p/app/?a=b'])('%s leads to the index of that target', async (path) => {
  const { status, headers } = await fetch(url(path), { redirect: 'manual' });
  expect([status, headers.get('location')]).toEqual([307, `/p/app/debug/pprof/${new URL(url(path)).search}`]);
});

test.each(['/p/none', '/p/none/', '/p', '/p/'])('%s is nobody’s', async (path) => {
  expect((await fetch(url(path))).status).toBe(404);
});

test.each(['/', '/metrics', '/live.json', '/live/page.css', '/p/app/'])('nothing is posted to %s', async (path) => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const answer = await fetch(url(path), { method, redirect: 'manual' });
    const told = [answer.status, answer.headers.get('allow'), await answer.text()];
    expect(told).toEqual([405, 'GET, HEAD', 'Method Not Allowed\n']);
  }
});

test.each(['/', '/metrics', '/live.json'])(
  'no page of another site shows %s in a frame, reads it, or keeps it; and it loads nothing from elsewhere',
  async (path) => {
    const { status, headers } = await fetch(url(path));
    expect(status).toBe(200);
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-frame-options': 'DENY',
      'content-security-policy':
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(headers.has('access-control-allow-origin')).toBe(false);
  },
);

test.each([
  ...LIVE_PATHS,
  ...['/metrics', '/live.json', '//', '/none', '/p/app', '/p/none', '/debug/pprof'],
  ...['', 'heap', 'heap?debug=1', 'heap?seconds=1', 'allocs', 'cmdline', 'symbol', 'goroutine'].flatMap((page) => [
    `/debug/pprof/${page}`,
    `/p/app/debug/pprof/${page}`,
  ]),
])('%s is not for other names, other sites, and who has no token, by GET or POST', async (path) => {
  const withToken = await start({ accepts: (shown) => shown === 'token' });
  const ask = async (headers: string, method: string, of: Server) =>
    statuses(await exchange(`${method} ${path} HTTP/1.1\r\n${headers}\r\n\r\n`, of))[0];
  for (const method of ['GET', 'POST']) {
    expect(await ask('Host: evil.example', method, server)).toBe('421');
    expect(await ask('Host: localhost\r\nOrigin: http://evil.example', method, server)).toBe('403');
    expect(await ask('Host: localhost', method, withToken)).toBe('401');
  }
  expect([asked, service.requests]).toEqual([0, []]);
  stop(withToken);
});

test('who asks for a target that is not there is told which are', async () => {
  expect(await exchange('GET /p/ap/debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n')).toContain(
    '404 page not found\n  There is /p/app/.\n',
  );
});

test('paths are names: whatever is made of them leads to no file, no other process and no other page', async () => {
  const next = generator(5);
  const random = <T>(of: readonly T[]): T => of[Math.floor(next() * of.length)] as T;
  const odd = ['..', '.', '%2e%2e', '%2E', '..%2f', '%2f', '%5c', '\\', '//', '%00', '%', '%zz', '%c0%af', '\u00ff'];
  const names = ['etc', 'passwd', 'proc', 'self', 'environ', 'p', 'app', 'debug', 'pprof', 'none', ';', '~', 'file:'];
  const pieces = [...odd, ...names, '4321', '4321-1.seg', 'a'.repeat(300)];
  const seen = new Set<string>();
  for (let i = 0; i < 600; i++) {
    const below = random(['/', '/p/', '/p/app/', '/p/app/debug/pprof/', '/debug/pprof/']);
    const path = below + Array.from({ length: 1 + random([0, 1, 2, 3]) }, () => random(pieces)).join('/');
    const answer = await exchange(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const [status = ''] = statuses(answer);
    seen.add(status);
    if (status === '200') expect(answer).toContain(OWN_PAGE);
    const location = /^Location: (.*)\r$/m.exec(answer)?.[1];
    if (location !== undefined) expect(location).toMatch(/^\/(?![/\\])/);
  }
  expect([...seen].sort()).toEqual(['200', '307', '400', '404']);
  for (const path of service.requests) expect(path).toMatch(/^\/debug\/pprof\/[^/]/);
});
