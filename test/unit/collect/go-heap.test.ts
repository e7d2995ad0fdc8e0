import dns, { type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeGoSource, fetchGoHeap, type GoSource, parseGoSource } from '../../../src/collect/go-heap.js';
import type { CgoprofError } from '../../../src/errors.js';
import { FakeWorld } from '../../support/fake-world.js';
import { freePort, serve, type TestServer } from '../../support/http-server.js';

let world: FakeWorld;
let servers: Pick<TestServer, 'close'>[] = [];
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
  world.remove();
});

const LIMITS = { timeoutMs: 20_000, connectMs: 20_000, maxBytes: 1 << 20 };

function source(text: string, gc = false): Exclude<GoSource, { kind: 'none' }> {
  const parsed = parseGoSource(text, { gc });
  if (parsed.kind === 'none') throw new Error('none');
  return parsed;
}

const fetchText = (text: string, limits = LIMITS) => fetchGoHeap(source(text), limits);

async function answering(answer: RequestListener): Promise<TestServer> {
  const server = await serve(answer);
  servers.push(server);
  return server;
}

/** Ports that browsers, and fetch with them, refuse whoever listens there. */
const BAD_PORTS = [6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080];

/** Listens on the first of the ports that is free; 0 always is. */
async function answeringOn(host: string, ports: readonly number[], words: string): Promise<number> {
  for (const wanted of ports) {
    const server = createServer((_, response) => response.end(words));
    const listens = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(wanted, host, () => resolve(true));
    });
    if (!listens) continue;
    servers.push({ close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()) });
    return (server.address() as AddressInfo).port;
  }
  throw new Error(`all of these ports are taken: ${ports}`);
}

/** Every host name has these addresses. */
const resolving = (...addresses: LookupAddress[]) =>
  vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((_: string, __: object, done: (...results: unknown[]) => void) =>
      done(null, addresses)) as typeof dns.lookup);

/** No host name can be looked up, or connected to, for this reason. */
const failingWith = (code: string, message: string) =>
  vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((_: string, __: object, done: (error: Error) => void) =>
      process.nextTick(done, Object.assign(new Error(message), { code }))) as typeof dns.lookup);

const failing = (message: string | RegExp, hint: string | RegExp) =>
  expect.objectContaining({
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
    exitCode: 1,
  });

describe('parseGoSource', () => {
  it.each([
    ['http://127.0.0.1:6060', 'http://127.0.0.1:6060/debug/pprof/heap'],
    ['http://127.0.0.1:6060/', 'http://127.0.0.1:6060/debug/pprof/heap'],
    ['HTTPS://host/prefix/', 'https://host/prefix/debug/pprof/heap'],
    ['http://host/debug/pprof', 'http://host/debug/pprof/heap'],
    ['http://host/debug/pprof/', 'http://host/debug/pprof/heap'],
    ['http://host/debug/pprof/allocs?x=1', 'http://host/debug/pprof/allocs?x=1'],
    ['http://host/a/debug/pprof/heap', 'http://host/a/debug/pprof/heap'],
  ])('%s means %s', (text, url) => {
    expect(describeGoSource(source(text))).toBe(url);
  });

  it('asks for a collection', () => {
    expect(describeGoSource(source('http://host:1', true))).toBe('http://host:1/debug/pprof/heap?gc=1');
    expect(describeGoSource(source('http://host:1/debug/pprof/heap?gc=0&a=b', true))).toMatch(/\?gc=1&a=b$/);
  });

  it('takes files and none', () => {
    expect(parseGoSource('none', { gc: false })).toEqual({ kind: 'none' });
    expect(describeGoSource({ kind: 'none' })).toBe('none');
    expect(describeGoSource(source('./heap.pb.gz'))).toBe('./heap.pb.gz');
  });

  it('refuses what cannot work as wrong usage', () => {
    const usage = expect.objectContaining({ exitCode: 2 });
    expect(() => parseGoSource('heap.pb.gz', { gc: true })).toThrow(usage);
    expect(() => parseGoSource('none', { gc: true })).toThrow(usage);
    expect(() => parseGoSource('http://', { gc: false })).toThrow(usage);
    expect(() => parseGoSource('http://host:99999', { gc: false })).toThrow('--go http://host:99999: not a URL');
  });
});

describe('fetchGoHeap from a file', () => {
  it('takes its bytes and time', async () => {
    const path = world.write('heap.pb.gz', 'bytes');
    const heap = await fetchText(path);
    expect(heap).toMatchObject({ name: path, bytes: Buffer.from('bytes') });
    expect(Math.abs(Date.now() - heap.takenAt.getTime())).toBeLessThan(3_600_000);
  });

  it.each(['localhost:6060', ':6060', '127.0.0.1:6060/debug/pprof/heap'])('suspects a URL in %s', async (text) => {
    await expect(fetchText(text)).rejects.toEqual(
      failing(/no such file or directory$/, /given as a URL: --go http:\/\/(localhost|127.0.0.1):6060/),
    );
  });

  it('says what is wrong with it', async () => {
    await expect(fetchText('./none')).rejects.toEqual(failing(/^Go heap profile \.\/none: no such file/, /--go takes/));
    await expect(fetchText(world.write('a.seg', 'CGOPROF\0'))).rejects.toEqual(failing(/a segment/, /cgoprof merge/));
    await expect(fetchText(world.write('big', Buffer.alloc(2 << 20)))).rejects.toEqual(failing(/than 1 MiB$/, /--go/));
  });
});

describe('fetchGoHeap from a service', () => {
  it('takes the whole answer', async () => {
    const { url, requests } = await answering((_, response) => response.end(Buffer.alloc(300_007, 7)));
    const heap = await fetchText(url);
    expect(Buffer.alloc(300_007, 7).equals(heap.bytes)).toBe(true);
    expect(heap.name).toBe(`${url}/debug/pprof/heap`);
    expect(requests).toEqual(['/debug/pprof/heap']);
  });

  it('sends credentials and keeps them to itself', async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await answering((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(seen.length === 1 ? 200 : 403).end('x');
    });
    const withPassword = url.replace('//', '//me:p%40ss@');
    expect((await fetchText(withPassword)).name).not.toContain('p%40ss');
    expect(seen).toEqual([`Basic ${Buffer.from('me:p@ss').toString('base64')}`]);
    const error = await fetchText(withPassword).catch((refused: Error) => refused);
    expect((error as Error).message).toBe(`Go heap profile ${url}/debug/pprof/heap: the server answered 403 Forbidden`);
  });

  it('says what net/http/pprof says of a refusal, and no page of another', async () => {
    const refusing = async (headers: Record<string, string>, body: string): Promise<unknown> => {
      const { url } = await answering((_, response) => response.writeHead(400, headers).end(body));
      return fetchText(url).catch(({ message, hint }: CgoprofError) => [message.replace(/.*: the server/, ''), hint]);
    };
    const own = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Go-Pprof': '1' };
    expect(await refusing(own, 'profile duration exceeds\nthe server’s WriteTimeout\n')).toEqual([
      ' answered 400 Bad Request: profile duration exceeds the server’s WriteTimeout',
      '',
    ]);
    expect(await refusing(own, 'x'.repeat(1e6))).toEqual([` answered 400 Bad Request: ${'x'.repeat(1024)}`, '']);
    const page = [' answered 400 Bad Request', expect.stringContaining('https://')];
    expect(await refusing({ 'Content-Type': 'text/html', 'X-Go-Pprof': '1' }, '<html>')).toEqual(page);
    expect(await refusing({ 'Content-Type': 'text/plain' }, 'bad')).toEqual(page);
  });

  it('listens to no refusal without end, and keeps no connection for one', async () => {
    for (const headers of [{ 'Content-Type': 'text/plain', 'X-Go-Pprof': '1' }, { 'Content-Type': 'text/html' }]) {
      let closed: Promise<unknown> = Promise.resolve();
      const { url } = await answering((_, response) => {
        closed = once(response, 'close');
        const more = (): void => {
          if (!response.destroyed) response.write('x'.repeat(1000), more);
        };
        response.writeHead(503, headers);
        more();
      });
      await expect(fetchText(url)).rejects.toThrow(/: the server answered 503 Service Unavailable/);
      await closed;
    }
  });

  it.each([
    [404, /answered 404 Not Found$/, /import _ "net\/http\/pprof"/],
    [401, /answered 401 Unauthorized$/, /credentials/],
    [400, /answered 400 Bad Request$/, /https:\/\//],
    [503, /answered 503 Service Unavailable$/, /browser/],
  ])('explains status %d', async (status, message, hint) => {
    const { url } = await answering((_, response) => response.writeHead(status).end('some words'));
    await expect(fetchText(url)).rejects.toEqual(failing(message, hint));
  });

  it('explains a refused connection', async () => {
    const port = await freePort();
    await expect(fetchText(`http://127.0.0.1:${port}`)).rejects.toEqual(
      failing(
        `^Go heap profile http://127.0.0.1:${port}/debug/pprof/heap: connection refused$`,
        /Is the service listening there\?.*net\/http\/pprof/,
      ),
    );
  });

  it('explains half an answer', async () => {
    const { url } = await answering((_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half', () => response.destroy());
    });
    await expect(fetchText(url)).rejects.toEqual(failing(/: the answer ended early: only a part/, /Try again/));
  });

  it('explains a connection that is closed without an answer', async () => {
    const { url } = await answering((request) => request.socket.destroy());
    await expect(fetchText(url)).rejects.toEqual(failing(/heap: the server closed/, /Try again/));
  });

  it('explains half an answer in pieces', async () => {
    const { url } = await answering((_, response) => response.write('half', () => response.destroy()));
    await expect(fetchText(url)).rejects.toEqual(failing(/: the answer ended early: only a part/, /Try again/));
  });

  it('explains an answer in another protocol', async () => {
    const { url } = await answering(({ socket }) => socket.end('SSH-2.0-OpenSSH\r\n'));
    await expect(fetchText(url)).rejects.toEqual(failing(/: .*Expected HTTP/, /Check the address/));
  });

  it('explains a switch to another protocol, and keeps nothing of that connection', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const { url } = await answering(({ socket }) => {
      closed = once(socket, 'close');
      socket.on('error', () => {});
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n' +
          'X-Go-Pprof: 1\r\nContent-Type: text/plain\r\n\r\nwords',
      );
    });
    await expect(fetchText(url)).rejects.toEqual(failing(/: the server answered 101 Switching Protocols$/, /address/));
    await closed;
  });

  it('does not wait for ever', async () => {
    const { url } = await answering((_, response) => response.write('x'));
    await expect(fetchText(url, { ...LIMITS, timeoutMs: 50 })).rejects.toEqual(
      failing(/no answer within 0\.05 s$/, /too busy/),
    );
  });

  it('does not wait for ever for a first word', async () => {
    const { url } = await answering(() => {});
    await expect(fetchText(url, { ...LIMITS, timeoutMs: 50 })).rejects.toEqual(
      failing(/no answer within 0\.05 s$/, /too busy/),
    );
  });

  it('can be called off under way', async () => {
    const cancel = new AbortController();
    const { url } = await answering((_, response) => response.write('x', () => cancel.abort()));
    await expect(fetchGoHeap(source(url), LIMITS, cancel.signal)).rejects.toThrow(/aborted/);
  });

  it('can be called off', async () => {
    const { url } = await answering(() => {});
    const cancel = AbortSignal.abort();
    await expect(fetchGoHeap(source(url), LIMITS, cancel)).rejects.toThrow(/aborted/);
  });

  it('does not take any amount', async () => {
    const { url } = await answering((_, response) => response.end(Buffer.alloc(2 << 20)));
    await expect(fetchText(url)).rejects.toEqual(failing(/: longer than 1 MiB$/, /check the address/));
  });

  it('tells plain HTTP where HTTPS was asked for', async () => {
    const { url } = await answering((_, response) => response.end());
    await expect(fetchText(url.replace('http:', 'https:'))).rejects.toEqual(
      failing(/: (wrong version number|packet length too long)$/, /give an http:\/\/ URL/),
    );
  });

  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', /: self-signed certificate$/, /NODE_EXTRA_CA_CERTS/],
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND host', /: no such host$/, /Check the address/],
    ['ETIMEDOUT', 'timeout', /: the host does not answer$/, /Check the address/],
    ['ECONNRESET', 'reset', /: the server closed the connection/, /Try again/],
    ['EODD', 'odd\nwords', /: odd words$/, /Check the address/],
  ])('explains %s', async (code, words, message, hint) => {
    failingWith(code, words);
    await expect(fetchText('https://host')).rejects.toEqual(failing(message, hint));
  });
});

describe('where the service is', () => {
  it('may be a port that browsers refuse', async () => {
    const port = await answeringOn('127.0.0.1', BAD_PORTS, 'heap');
    expect((await fetchText(`http://127.0.0.1:${port}`)).bytes).toEqual(Buffer.from('heap'));
  });

  const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
  it.skipIf(!hasIPv6)('may be an IPv6 address', async () => {
    const port = await answeringOn('::1', [0], 'heap');
    const heap = await fetchText(`http://[::1]:${port}`);
    expect(heap).toMatchObject({ name: `http://[::1]:${port}/debug/pprof/heap`, bytes: Buffer.from('heap') });
  });

  it('may be one of several addresses of the host', async () => {
    const { url } = await answering((_, response) => response.end('heap'));
    resolving({ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 });
    expect((await fetchText(url.replace('127.0.0.1', 'host'))).bytes).toEqual(Buffer.from('heap'));
  });

  it('may be none of them', async () => {
    const port = await freePort();
    resolving({ address: '127.0.0.2', family: 4 }, { address: '127.0.0.3', family: 4 });
    await expect(fetchText(`http://host:${port}`)).rejects.toEqual(failing(/: connection refused$/, /listening/));
  });

  it('may be one that is slower than a connection may take', async () => {
    const idle: (() => void)[] = [];
    const setTimeout = vi.spyOn(Socket.prototype, 'setTimeout').mockImplementation(function (this: Socket, ms, act) {
      if (ms === LIMITS.connectMs && act !== undefined) idle.push(act);
      return this;
    });
    const { url } = await answering((_, response) => {
      for (const act of idle) act();
      setImmediate(() => response.end('heap'));
    });
    expect((await fetchText(url)).bytes).toEqual(Buffer.from('heap'));
    expect(idle).toHaveLength(1);
    setTimeout.mockRestore();
  });

  it('may be nowhere', async () => {
    vi.spyOn(dns, 'lookup').mockImplementation((() => {}) as unknown as typeof dns.lookup);
    await expect(fetchGoHeap(source('http://host'), { ...LIMITS, connectMs: 50 })).rejects.toEqual(
      failing(/: the host does not answer$/, /Check the address/),
    );
  });
});

describe('credentials', () => {
  const sent = async (userinfo: string): Promise<string> => {
    let header = '';
    const { url } = await answering((request, response) => {
      header = request.headers.authorization ?? '';
      response.end();
    });
    await fetchText(url.replace('//', `//${userinfo}@`));
    expect(header).toMatch(/^Basic /);
    return Buffer.from(header.slice('Basic '.length), 'base64').toString('latin1');
  };
  const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

  it.each([
    ['me:50%', 'me:50%'],
    ['100%me:%zz%4', '100%me:%zz%4'],
    ['me:50%%40x%2', 'me:50%@x%2'],
    ['a%3Ab:c:d', 'a:b:c:d'],
    ['me', 'me:'],
    [':secret', ':secret'],
    ['märz:пароль', utf8('märz:пароль')],
    ['m%C3%A4rz:50%ä', utf8('märz:50%ä')],
    ['me:%ff', 'me:\xff'],
  ])('of %s are as curl understands them', async (userinfo, pair) => {
    expect(await sent(userinfo)).toBe(pair);
  });
});

describe('a redirection', () => {
  const authorizations: (string | undefined)[] = [];
  beforeEach(() => {
    authorizations.length = 0;
  });

  /** Sends every request but one to `/end` on to what `next` says. */
  const redirecting = (next: (path: string) => string, status = 302) =>
    answering((request, response) => {
      authorizations.push(request.headers.authorization);
      if (request.url === '/end') response.end('heap');
      else response.writeHead(status, { location: next(request.url ?? '') }).end('elsewhere');
    });

  it.each([301, 302, 303, 307, 308])('by status %d is followed', async (status) => {
    const { url, requests } = await redirecting(() => '../../end', status);
    expect(await fetchText(url)).toMatchObject({ name: `${url}/debug/pprof/heap`, bytes: Buffer.from('heap') });
    expect(requests).toEqual(['/debug/pprof/heap', '/end']);
  });

  it('leaves no connection behind', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const { url } = await answering(({ url: path }, response) => {
      if (path === '/end') return void response.end('heap');
      closed = once(response, 'close');
      response.writeHead(302, { location: '/end' }).write('a page that has no end');
    });
    await fetchText(url);
    await closed;
  });

  it('of the same server gets the credentials', async () => {
    const { url } = await redirecting(() => '/end');
    await fetchText(url.replace('//', '//me:secret@'));
    expect(authorizations).toEqual([expect.stringMatching(/^Basic /), expect.stringMatching(/^Basic /)]);
  });

  it('to another server does not, nor back', async () => {
    const home = await redirecting((path) => (path === '/back' ? '/end' : `${other.url}/away`));
    const other = await redirecting(() => `${home.url}/back`);
    await fetchText(home.url.replace('//', '//me:secret@'));
    expect(authorizations).toEqual([expect.stringMatching(/^Basic /), undefined, undefined, undefined]);
  });

  it('is not followed for ever', async () => {
    const { url, requests } = await redirecting((path) => `${path}x`);
    await expect(fetchText(url)).rejects.toEqual(failing(/: the server answered 302 Found$/, /browser/));
    expect(requests).toHaveLength(21);
  });

  it.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'http://:'])('to %s is not followed', async (location) => {
    const { url, requests } = await redirecting(() => location);
    await expect(fetchText(url)).rejects.toEqual(failing(/: the server answered 302 Found$/, /browser/));
    expect(requests).toHaveLength(1);
  });

  it('that says not where to is a refusal', async () => {
    const { url } = await answering((_, response) => response.writeHead(302).end());
    await expect(fetchText(url)).rejects.toEqual(failing(/: the server answered 302 Found$/, /browser/));
  });
});

describe('an answer that was compressed on the way', () => {
  const compressed = (bytes: Uint8Array, length = bytes.length) =>
    answering((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': length });
      response.write(bytes, () => response.destroy());
    });

  it('is not asked for', async () => {
    let accepted: string | undefined;
    const { url } = await answering((request, response) => {
      accepted = request.headers['accept-encoding'] as string;
      response.end();
    });
    await fetchText(url);
    expect(accepted).toBe('identity');
  });

  it('is decompressed', async () => {
    const { url } = await compressed(gzipSync(Buffer.alloc(300_007, 7)));
    expect(Buffer.alloc(300_007, 7).equals((await fetchText(url)).bytes)).toBe(true);
  });

  it('is measured as it was', async () => {
    const { url } = await compressed(gzipSync(Buffer.alloc(2 << 20)));
    await expect(fetchText(url)).rejects.toEqual(failing(/: longer than 1 MiB$/, /check the address/));
  });

  it('may end early', async () => {
    const half = gzipSync(Buffer.alloc(300_007, 7)).subarray(0, 100);
    const broken = await compressed(half, 1000);
    await expect(fetchText(broken.url)).rejects.toEqual(failing(/: the answer ended early/, /Try again/));
    const short = await compressed(half);
    await expect(fetchText(short.url)).rejects.toEqual(failing(/: the answer ended early/, /Try again/));
  });

  it('may be something else', async () => {
    const { url } = await compressed(Buffer.from('words'));
    await expect(fetchText(url)).rejects.toEqual(failing(/: incorrect header check$/, /Check the address/));
  });
});
