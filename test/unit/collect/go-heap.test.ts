import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeGoSource, fetchGoHeap, type GoSource, parseGoSource } from '../../../src/collect/go-heap.js';
import { FakeWorld } from '../../support/fake-world.js';
import { freePort, serve, type TestServer } from '../../support/http-server.js';

let world: FakeWorld;
let server: TestServer | undefined;
beforeEach(() => {
  world = new FakeWorld();
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await server?.close();
  server = undefined;
  world.remove();
});

const LIMITS = { timeoutMs: 20_000, maxBytes: 1 << 20 };

function source(text: string, gc = false): Exclude<GoSource, { kind: 'none' }> {
  const parsed = parseGoSource(text, { gc });
  if (parsed.kind === 'none') throw new Error('none');
  return parsed;
}

const fetchText = (text: string, limits = LIMITS) => fetchGoHeap(source(text), limits);

async function answering(answer: RequestListener): Promise<TestServer> {
  server = await serve(answer);
  return server;
}

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
    expect(heap.bytes).toEqual(Buffer.alloc(300_007, 7));
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
    await expect(fetchText(url)).rejects.toEqual(failing(/heap: the (server closed|answer ended)/, /Try again/));
  });

  it('does not wait for ever', async () => {
    const { url } = await answering((_, response) => response.write('x'));
    await expect(fetchText(url, { ...LIMITS, timeoutMs: 50 })).rejects.toEqual(
      failing(/no answer within 0\.05 s$/, /too busy/),
    );
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
    await expect(fetchText(url.replace('http:', 'https:'))).rejects.toEqual(failing(/./, /give an http:\/\/ URL/));
  });

  const fetchError = (code: string, message = 'words') =>
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('fetch failed', {
        cause: new AggregateError([Object.assign(new Error(message), { code })]),
      });
    });

  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', /: self-signed certificate$/, /NODE_EXTRA_CA_CERTS/],
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND host', /: no such host$/, /Check the address/],
    ['UND_ERR_CONNECT_TIMEOUT', 'timeout', /: the host does not answer$/, /Check the address/],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'length', /: the answer ended early: only a part/, /Try again/],
    ['ECONNRESET', 'reset', /: the server closed the connection/, /Try again/],
    ['EODD', 'odd\nwords', /: odd words$/, /Check the address/],
  ])('explains %s', async (code, words, message, hint) => {
    fetchError(code, words);
    await expect(fetchText('https://host')).rejects.toEqual(failing(message, hint));
  });

  it('explains even what is no error', async () => {
    vi.stubGlobal('fetch', async () => {
      throw { cause: 'nothing' };
    });
    await expect(fetchText('https://host')).rejects.toEqual(failing(/^Go heap profile https:\/\/host/, /Check/));
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
