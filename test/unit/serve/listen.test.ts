import type { RequestListener, Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  listen,
  MAX_CONNECTIONS,
  PATIENCE,
  type Patience,
  sayWhereItListens,
  urlOf,
} from '../../../src/serve/listen.js';
import { FakeWorld } from '../../support/fake-world.js';
import { GENEROUS } from '../../support/patience.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listening(
  answer: RequestListener,
  patience: Partial<Patience> = {},
  host = '127.0.0.1',
): Promise<Server> {
  const server = await listen(answer, { host, port: 0 }, { ...GENEROUS, ...patience });
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

function client(server: Server, bytes = ''): Socket {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  closers.push(() => socket.destroy());
  socket.write(bytes);
  return socket;
}

/** Resolves when the server has ended a connection. */
const ended = (socket: Socket) => new Promise((resolve) => socket.resume().once('close', resolve));

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const QUICK = { headersTimeout: 20, requestTimeout: 40, connectionsCheckingInterval: 10 };

describe('a connection is ended', () => {
  test.each([
    ['on which nothing comes', ''],
    ['with half a head', 'GET / HTTP/1.1\r\nHos'],
    ['with half a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf'],
  ])('%s', async (_, bytes) => {
    const server = await listening((request) => request.resume(), QUICK);
    await ended(client(server, bytes));
  });

  test('when it has had its answer, and asks for nothing more', async () => {
    const server = await listening((_, response) => void response.end(), { keepAliveTimeout: 20 });
    await ended(client(server, REQUEST));
  });

  test('when the client takes nothing of what it is sent', async () => {
    const body = Buffer.alloc(16 * 2 ** 20);
    let cutOff: () => void = () => {};
    const over = new Promise<void>((resolve) => (cutOff = resolve));
    const server = await listening((_, response) => void response.once('close', cutOff).end(body), { stalled: 50 });
    const socket = client(server, REQUEST).pause();
    await over;
    let taken = 0;
    socket.on('data', (bytes) => (taken += bytes.length));
    await ended(socket);
    expect(taken).toBeLessThan(body.length);
  });
});

describe('a connection is not ended', () => {
  test('while the answer is waited for, though nothing moves for longer than a client may take', async () => {
    const server = await listening(
      (_, response) => {
        response.socket?.once('timeout', () => setImmediate(() => response.end('late')));
      },
      { stalled: 20 },
    );
    expect(await (await fetch(urlOf(server))).text()).toBe('late');
  });

  test('because others are held', async () => {
    const server = await listening((_, response) => void response.end('here'));
    for (let i = 0; i < 50; i++) client(server, 'GET / HTTP/1.1\r\n');
    expect(await (await fetch(urlOf(server))).text()).toBe('here');
  });
});

test('a server has the patience of the table of bounds, and no more connections', async () => {
  const server = await listen(() => {}, { host: '127.0.0.1', port: 0 });
  closers.push(() => server.close());
  const { stalled: timeout, headersTimeout, requestTimeout, keepAliveTimeout } = PATIENCE;
  const bounds = { timeout, headersTimeout, requestTimeout, keepAliveTimeout, maxConnections: MAX_CONNECTIONS };
  expect(server).toMatchObject(bounds);
});

test('a port that is taken is an error for people', async () => {
  const server = await listening(() => {});
  const { port } = server.address() as AddressInfo;
  await expect(listen(() => {}, { host: '127.0.0.1', port })).rejects.toThrow(
    `127.0.0.1:${port}: address already in use`,
  );
});

test.each([
  ['::1', /^listening on \[::1\]:\d+: address already in use$/, /another cgoprof/],
  ['192.0.2.1', /^listening on 192\.0\.2\.1:\d+: address not available$/, /No interface of this machine/],
])('an address that cannot be had, %s, is said as it is written in a URL, with a hint', async (host, message, hint) => {
  const taken = host === '::1' ? await listening(() => {}, {}, host) : undefined;
  const { port } = (taken?.address() ?? { port: 6061 }) as AddressInfo;
  await expect(listen(() => {}, { host, port })).rejects.toMatchObject({
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
});

test.each([
  ['127.0.0.1', false, false],
  ['127.0.0.2', false, false],
  ['0.0.0.0', false, true],
  ['0.0.0.0', true, false],
])('listening on %s with a token (%s) warns: %s', async (host, needsToken, warns) => {
  const world = new FakeWorld();
  closers.push(() => world.remove());
  const server = await listening(() => {}, {}, host);
  sayWhereItListens(world.context(), server, needsToken);
  expect(world.err.startsWith('cgoprof: warning: whoever can reach')).toBe(warns);
  const shown = needsToken ? 'x:TOKEN@' : '';
  expect(world.err).toContain(`go tool pprof http://${shown}${host}:`);
  expect(world.err).toMatch(/^cgoprof: listening on http:\/\/\S+:\d+; /m);
});
