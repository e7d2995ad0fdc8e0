import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Upstream } from '../../../src/collect/upstream.js';
import { CgoprofError } from '../../../src/errors.js';
import { serve, type TestServer } from '../../support/http-server.js';

let service: TestServer;
beforeEach(async () => {
  service = await serve((_, response) => void response.end('answer'));
});
afterEach(() => service.close());

const ONE_QUESTION = new AbortController().signal;

it.each([
  ['', '/debug/pprof/'],
  ['/', '/debug/pprof/'],
  ['/debug/pprof', '/debug/pprof/'],
  ['/debug/pprof/', '/debug/pprof/'],
  ['/debug/pprof/heap', '/debug/pprof/'],
  ['/debug/pprof/heap/', '/debug/pprof/'],
  ['/debug/pprof/goroutine?debug=2#x', '/debug/pprof/'],
  ['/base/debug/pprof/heap?gc=1&x', '/base/debug/pprof/'],
  ['/base', '/base/debug/pprof/'],
  ['/debug/pprofiles', '/debug/pprofiles/debug/pprof/'],
])('--go http://HOST%s names the service below %s', async (given, base) => {
  const upstream = new Upstream(`${service.url}${given}`);
  expect(upstream.name).toBe(`${service.url}${base}`);
  await upstream.heap({ gc: false });
  (await upstream.open('block', { method: 'GET', search: '?debug=1' }, ONE_QUESTION)).resume();
  expect(service.requests).toEqual([`${base}heap`, `${base}block?debug=1`]);
});

it.each([
  ['example.org/a b', 'example.org/a%20b'],
  ['https:elsewhere.example', 'https%3Aelsewhere.example'],
  ['pools;v=1', 'pools%3Bv%3D1'],
])('a page called %s is one below /debug/pprof/', async (name, path) => {
  const upstream = new Upstream(service.url);
  (await upstream.open(name, { method: 'GET', search: '' }, ONE_QUESTION)).resume();
  expect(service.requests).toEqual([`/debug/pprof/${path}`]);
  expect(upstream.nameOf(name)).toBe(`${service.url}/debug/pprof/${path}`);
});

it.each(['..', '../../secret', '/secret', 'a//b', 'a?gc=1', 'a%2fb'])('no page is called %s', async (name) => {
  const asked = new Upstream(service.url).open(name, { method: 'GET', search: '' }, ONE_QUESTION);
  await expect(asked).rejects.toThrow(`${name}: not a profile’s name`);
  expect(service.requests).toEqual([]);
});

describe('a redirection to another port of the same host is not followed', () => {
  it.each<[string, (upstream: Upstream) => Promise<unknown>]>([
    ['heap', (upstream) => upstream.heap({ gc: false })],
    ['read', (upstream) => upstream.read('heap', '?debug=1', 100)],
    ['open', async (upstream) => (await upstream.open('', { method: 'GET', search: '' }, ONE_QUESTION)).statusCode],
  ])('%s', async (_, ask) => {
    const away = await serve((_, response) => response.writeHead(302, { Location: service.url }).end());
    onTestFinished(() => away.close());
    const answered = ask(new Upstream(away.url)).catch((error: Error) => error.message);
    expect(`${await answered}`).toMatch(/^302$|: the server answered 302 Found$/);
    expect([away.requests.length, service.requests]).toEqual([1, []]);
  });
});

describe('one that may not be asked any more', () => {
  it.each<[string, (upstream: Upstream) => Promise<unknown>]>([
    ['heap', (upstream) => upstream.heap({ gc: true })],
    ['read', (upstream) => upstream.read('symbol', '?0x1', 100)],
    ['open', (upstream) => upstream.open('', { method: 'GET', search: '' }, ONE_QUESTION)],
  ])('is not: %s', async (_, ask) => {
    const upstream = new Upstream(service.url, () => {
      throw new CgoprofError({ what: 'api', why: 'ended' });
    });
    await expect(ask(upstream)).rejects.toThrow('api: ended');
    expect(service.requests).toEqual([]);
  });
});

it.each([
  ['localhost:6060', 'Add http://, as in --go http://localhost:6060'],
  ['[::1]:6060/debug/pprof/heap', 'Add http://, as in --go http://[::1]:6060/debug/pprof/heap'],
  [':6060', 'Add http://, as in --go http://127.0.0.1:6060'],
  ['6060', 'Add http://, as in --go http://127.0.0.1:6060'],
  ['heap.pb.gz', 'Such as http://127.0.0.1:6060.'],
])('%s is no URL, but may become one', (text, hint) => {
  expect(() => new Upstream(text)).toThrow(expect.objectContaining({ hint, exitCode: 2 }));
});

describe('an answer too long is refused', () => {
  it('a heap profile, beyond 64 MiB once it is unpacked', async () => {
    const packed = gzipSync(Buffer.alloc(64 * 2 ** 20 + 1));
    const long = await serve((_, response) => response.setHeader('Content-Encoding', 'gzip').end(packed));
    onTestFinished(() => long.close());
    const answered = new Upstream(long.url).heap({ gc: false });
    expect(await answered.then(({ bytes }) => bytes.length).catch(String)).toMatch(/: longer than 64 MiB$/);
  });

  it('any other, beyond what whoever asks has room for', async () => {
    const upstream = new Upstream(service.url);
    expect((await upstream.read('symbol', '', 'answer'.length)).bytes).toEqual(Buffer.from('answer'));
    await expect(upstream.read('symbol', '', 'answer'.length - 1)).rejects.toThrow(/: longer than /);
  });
});
