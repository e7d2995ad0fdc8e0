import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Exchange, HttpError } from '../../../src/serve/exchange.js';
import { MAX_BYTES, Unread } from '../../../src/serve/unread.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A server that hands each request to `answer` as an exchange. @returns its port */
async function listening(answer: (exchange: Exchange) => void, unread = new Unread()): Promise<number> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(`http://localhost${request.url}`);
    answer(new Exchange(request, response, url, url.pathname, unread));
  });
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function ask(answer: (exchange: Exchange) => void, path = '/', init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${await listening(answer)}${path}`, init);
}

describe('errors', () => {
  test('are such that go tool pprof prints them, and leave nothing of an answer that was begun', async () => {
    const response = await ask((exchange) => {
      exchange.response.setHeader('Content-Disposition', 'attachment; filename="heap"');
      exchange.fail(new HttpError(503, 'busy', { 'Retry-After': '1' }));
    });
    expect(response.status).toBe(503);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'x-go-pprof': '1',
      'x-content-type-options': 'nosniff',
      'retry-after': '1',
    });
    expect(response.headers.has('content-disposition')).toBe(false);
    expect(await response.text()).toBe('busy\n');
  });

  test('of ours tell nothing of what happened', async () => {
    const response = await ask((exchange) => exchange.fail(new Error('/etc/secret')));
    expect([response.status, await response.text()]).toEqual([500, 'internal error\n']);
  });

  test('after the first byte are an end before the end', async () => {
    const response = await ask((exchange) => {
      exchange.response.writeHead(200, { 'Content-Length': 7 });
      exchange.response.write('half', () => exchange.fail(new Error('too late')));
    });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });
});

test('a HEAD request is told the length of what it does not get', async () => {
  const response = await ask((exchange) => exchange.send({}, 'seven b'), '/', { method: 'HEAD' });
  expect(response.headers.get('content-length')).toBe('7');
  expect(await response.text()).toBe('');
});

test.each([
  ['12', 12],
  ['-1', -1],
  ['', 0],
  ['1e3', 0],
  ['0x10', 0],
  ['%2B7', 7],
  ['99999999999999999999', 1e20], // strconv.Atoi: an error, and the largest int
])('an integer parameter "%s" is %d, as for net/http/pprof', async (text, value) => {
  const found: number[] = [];
  await ask((exchange) => {
    found.push(exchange.integer('n'));
    exchange.send({}, '');
  }, `/?n=${text}`);
  expect(found).toEqual([value]);
});

describe('what clients do not read', () => {
  /** More than the kernel takes for a connection. */
  const BODY = Buffer.alloc(16 * 2 ** 20);

  function silent(port: number): Socket {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    closers.push(() => socket.destroy());
    socket.pause().write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return socket;
  }

  /** Resolves when as many requests have been answered. */
  class Answers {
    readonly #all: Exchange[] = [];
    #waiting: () => void = () => {};

    constructor(private readonly body: () => Buffer) {}

    readonly answer = (exchange: Exchange): void => {
      exchange.send({}, this.body());
      this.#all.push(exchange);
      this.#waiting();
    };

    async first(count: number): Promise<Exchange[]> {
      while (this.#all.length < count) await new Promise<void>((resolve) => (this.#waiting = resolve));
      return this.#all;
    }
  }

  test('is held once, however many are sent it, and let go when they are gone', async () => {
    const unread = new Unread();
    const answers = new Answers(() => BODY);
    const port = await listening(answers.answer, unread);
    const sockets = [silent(port), silent(port), silent(port)];
    const exchanges = await answers.first(3);
    expect(unread.bytes).toBe(BODY.length);
    const gone = exchanges.map(({ gone }) => new Promise((resolve) => gone.addEventListener('abort', resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all(gone);
    expect(unread.bytes).toBe(0);
  });

  test('is no more than the table of bounds says', async () => {
    const answers = new Answers(() => Buffer.alloc(MAX_BYTES / 2));
    const port = await listening(answers.answer);
    for (let sent = 1; sent <= 3; sent++) {
      silent(port);
      await answers.first(sent);
    }
    expect((await answers.first(3)).map(({ response }) => response.destroyed)).toEqual([true, false, false]);
  });

  test('is bounded: who has not read for longest is cut off', async () => {
    const unread = new Unread(2.5 * BODY.length);
    const answers = new Answers(() => Buffer.from(BODY));
    const port = await listening(answers.answer, unread);
    silent(port);
    await answers.first(1);
    silent(port);
    await answers.first(2);
    silent(port);
    const exchanges = await answers.first(3);
    expect(unread.bytes).toBe(2 * BODY.length);
    expect(exchanges.map(({ response }) => response.destroyed)).toEqual([true, false, false]);
  });

  test('is not all that is held when one answer alone is beyond the bound', async () => {
    const unread = new Unread(1);
    const response = await fetch(`http://127.0.0.1:${await listening((exchange) => exchange.send({}, BODY), unread)}/`);
    expect((await response.arrayBuffer()).byteLength).toBe(BODY.length);
  });
});
