import { once } from 'node:events';
import { get as httpGet, type IncomingMessage, type RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { Upstream } from '../../../src/collect/upstream.js';
import { Exchange } from '../../../src/serve/exchange.js';
import { passThrough } from '../../../src/serve/pass-through.js';
import { serve } from '../../support/http-server.js';

/** A service that answers as given, and a server that passes `example.org/a b` of it through. */
async function passing(service: RequestListener) {
  const upstream = await serve(service);
  const errors: unknown[] = [];
  const server = await serve((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    const exchange = new Exchange(request, response, url, url.pathname);
    passThrough(exchange, new Upstream(upstream.url), 'example.org/a b').catch((error: unknown) => {
      errors.push(error);
      exchange.fail(error);
    });
  });
  onTestFinished(async () => {
    await Promise.all([server.close(), upstream.close()]);
  });
  return { url: `${server.url}/?debug=1&x=%2F`, requests: upstream.requests, errors };
}

test('status, body and what the headers say of it are the service’s; the headers of its connection and its site are not', async () => {
  const { url, requests } = await passing((_, response) => {
    response.writeHead(418, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Disposition': 'attachment; filename="profile"',
      'X-Go-Pprof': '1',
      'Set-Cookie': 'session=1',
      'Keep-Alive': 'timeout=1234',
      'WWW-Authenticate': 'Basic',
      Server: 'nginx',
      Location: 'http://elsewhere.example/',
    });
    response.end('short and stout\n');
  });
  const response = await fetch(url);
  expect(response.status).toBe(418);
  expect(await response.text()).toBe('short and stout\n');
  const {
    date,
    connection,
    'keep-alive': own,
    'transfer-encoding': framing,
    ...rest
  } = Object.fromEntries(response.headers);
  expect({ own, framing, rest }).toEqual({
    own: 'timeout=5',
    framing: 'chunked',
    rest: {
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': 'attachment; filename="profile"',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
      'x-go-pprof': '1',
    },
  });
  expect(requests).toEqual(['/debug/pprof/example.org/a%20b?debug=1&x=%2F']);
});

test('an answer that the service has compressed stays so, and says it', async () => {
  const { url } = await passing((_, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('7919 bytes\n'));
  });
  const response = await fetch(url);
  expect([response.headers.get('content-encoding'), await response.text()]).toEqual(['gzip', '7919 bytes\n']);
});

test('HEAD is asked as HEAD', async () => {
  const methods: (string | undefined)[] = [];
  const { url } = await passing(({ method }, response) => {
    methods.push(method);
    response.writeHead(200, { 'Content-Length': 7 }).end();
  });
  const response = await fetch(url, { method: 'HEAD' });
  expect([methods, response.headers.get('content-length')]).toEqual([['HEAD'], '7']);
});

test('a redirection within the service is followed, one to elsewhere is an error', async () => {
  const within = await passing(({ url }, response) => {
    if (url === '/moved') response.end('moved');
    else response.writeHead(302, { Location: '/moved' }).end();
  });
  expect(await (await fetch(within.url)).text()).toBe('moved');

  const { url, errors } = await passing((_, response) => {
    response.writeHead(302, { Location: 'http://127.0.0.2:1/' }).end();
  });
  await fetch(url);
  expect(errors).toMatchObject([
    { message: expect.stringMatching(/example\.org\/a%20b: the service redirects to elsewhere/) },
  ]);
});

test('a service that is not there is an error with its address', async () => {
  const { url, errors } = await passing((request) => request.socket.destroy());
  await fetch(url);
  expect(errors).toMatchObject([
    { message: expect.stringMatching(/^http:\S+example\.org\/a%20b\S+: the server closed/) },
  ]);
});

test('an answer that the service cuts short is cut short, and no error of ours', async () => {
  const { url, errors } = await passing((_, response) => {
    response.writeHead(200, { 'Content-Length': 1000 });
    response.write('half', () => response.destroy());
  });
  const response = await fetch(url);
  await expect(response.text()).rejects.toThrow();
  expect(errors).toEqual([]);
});

/** The answer's headers; its body stays unread. */
function begin(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => httpGet(url, resolve).on('error', reject));
}

test('the first bytes come before the last are there', async () => {
  let finish = () => {};
  const { url } = await passing((_, response) => {
    response.write('first');
    finish = () => response.end('last');
  });
  const answer = await begin(url);
  const [first] = await once(answer, 'data');
  finish();
  const [last] = await once(answer, 'data');
  expect(`${first} ${last}`).toBe('first last');
});

test('a service that has much to tell waits for a client that reads slowly', async () => {
  const total = 128 * 2 ** 20;
  const block = Buffer.alloc(2 ** 20);
  let sent = 0;
  let stalled = () => {};
  const isStalled = new Promise<void>((resolve) => {
    stalled = resolve;
  });
  const { url } = await passing((_, response) => {
    const write = (): void => {
      while (sent < total) {
        sent += block.length;
        if (!response.write(block)) {
          stalled();
          return void response.once('drain', write);
        }
      }
      response.end();
    };
    write();
  });
  const answer = await begin(url);
  await isStalled;
  let read = 0;
  let most = 0;
  for await (const chunk of answer) {
    read += chunk.length;
    most = Math.max(most, sent - read);
    await new Promise(setImmediate);
  }
  expect(read).toBe(total);
  // Buffers of sockets on the way, which are the kernel's.
  expect(most).toBeLessThan(total / 2);
});

test('a client that goes away ends the request at the service', async () => {
  let gone: Promise<unknown> | undefined;
  const { url, errors } = await passing((_, response) => {
    gone = once(response, 'close');
    response.write('begun');
  });
  const answer = await begin(url);
  await once(answer, 'data');
  answer.destroy();
  await gone;
  expect(errors).toEqual([]);
});
