import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FollowedSegment, FollowedTarget } from '../../../src/collect/followed-target.js';
import type { GoHeapBytes } from '../../../src/collect/go-heap.js';
import type { Upstream } from '../../../src/collect/upstream.js';
import { Guard } from '../../../src/serve/guard.js';
import { LiveTargets } from '../../../src/serve/live-data.js';
import { MetricsPage } from '../../../src/serve/metrics.js';
import { ServedTarget } from '../../../src/serve/served-target.js';
import { startServer } from '../../../src/serve/server.js';
import { Turns } from '../../../src/serve/turns.js';
import { FakeWorld } from '../../support/fake-world.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { GENEROUS } from '../../support/patience.js';
import { generator } from '../../support/random.js';

const HEAP = '/debug/pprof/heap';
const GO: GoHeapBytes = {
  name: 'http://127.0.0.1:6060/debug/pprof/heap',
  bytes: goProfile({ samples: [{ stack: ['main.main@/srv/app/main.go:3'], values: [1, 7919, 1, 7919] }] }).encode(),
  takenAt: new Date(),
};

let world: FakeWorld;
let server: Server;
/** How often Go was asked, and how it answers. */
let asked = 0;
let answerGo: () => Promise<GoHeapBytes> = async () => GO;

beforeEach(async () => {
  world = new FakeWorld();
  asked = 0;
  answerGo = async () => GO;
  const target = fakeTarget('app');
  const live = new LiveTargets([target]);
  const guard = new Guard({ hosts: [], token: undefined });
  server = await startServer(
    world.context(),
    { targets: [target], live, metrics: new MetricsPage([target]) },
    { host: '127.0.0.1', port: 0 },
    guard,
    GENEROUS,
  );
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
  world.remove();
});

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
    upstream: { heap } as Partial<Upstream> as Upstream,
    showPlumbing: false,
    symbols: { load: async () => new Map(), store: async () => {} },
    turns: new Turns(),
  });
}

const port = (): number => (server.address() as AddressInfo).port;
const url = (path: string): string => `http://127.0.0.1:${port()}${path}`;

/** Sends requests, the last one as the last. @returns all that comes until the connection ends */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    connect(port(), '127.0.0.1')
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

test('no page of another site shows ours in a frame, reads it, or keeps it', async () => {
  const { headers } = await fetch(url('/metrics'));
  expect(Object.fromEntries(headers)).toMatchObject({
    'x-frame-options': 'DENY',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  const cross = await fetch(url('/'));
  expect(cross.headers.has('access-control-allow-origin')).toBe(false);
});

test('who asks for a target that is not there is told which are', async () => {
  expect(await exchange('GET /p/ap/debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n')).toContain(
    '404 page not found\n  There is /p/app/.\n',
  );
});

test('paths are names: whatever is made of them leads to no file and to no other process', async () => {
  const next = generator(5);
  const random = (end: number) => Math.floor(next() * end);
  const pieces = [
    ...['..', '.', '%2e%2e', '%2E', '..%2f', '%2f', '%5c', '\\', '//', '%00', '%', '%zz', '%c0%af', '\u00ff', ';', '~'],
    ...[
      'etc',
      'passwd',
      'proc',
      'self',
      'environ',
      'p',
      'app',
      'debug',
      'pprof',
      'none',
      'file:',
      '4321',
      '4321-1.seg',
    ],
    'a'.repeat(300),
  ];
  const allowed = new Set(['307', '400', '404', '502']);
  for (let i = 0; i < 400; i++) {
    const path = Array.from({ length: 1 + random(6) }, () => pieces[random(pieces.length)]).join('/');
    const answer = await exchange(`GET /p/x/${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const [status = ''] = statuses(answer);
    if (!allowed.has(status)) expect(`${status} ${path}`).toBe('refused');
    expect(answer).not.toMatch(/root:|CGOPROF\0/);
    const location = /^Location: (.*)\r$/m.exec(answer)?.[1];
    if (location !== undefined) expect(location).toMatch(/^\/(?![/\\])/);
  }
});
