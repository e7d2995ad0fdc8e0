import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { HttpError } from '../../../src/serve/exchange.js';
import { Guard, type GuardOptions } from '../../../src/serve/guard.js';

interface Asked {
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly method?: string;
  readonly url?: string;
  readonly version?: '1.0' | '1.1';
}

/** A password ends at no colon: the first one alone is between it and the name. */
const TOKEN = 'correct-horse:battery';
const WITH_TOKEN = { token: { accepts: (shown: string) => shown === TOKEN } };

/** 200, or the status and text of the refusal. */
function admit(asked: Asked, options: Partial<GuardOptions> = {}): string {
  const request = new IncomingMessage(new Socket());
  request.method = asked.method ?? 'GET';
  request.url = asked.url ?? '/';
  request.httpVersionMajor = 1;
  request.httpVersionMinor = asked.version === '1.0' ? 0 : 1;
  for (const [name, value] of Object.entries(asked.headers ?? { host: '127.0.0.1:6061' })) {
    request.headersDistinct[name] = [value].flat();
    request.headers[name] = [value].flat()[0];
  }
  try {
    new Guard({ hosts: ['127.0.0.1'], token: undefined, ...options }).admit(request);
    return '200';
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return `${error.status} ${error.message}`;
  }
}

const host = (name: string) => ({ headers: { host: name } });

describe('without a token', () => {
  test.each(['localhost', 'LocalHost.:6061', '127.0.0.1', '127.0.0.1:6061', '10.1.2.3:80', '[::1]:6061', '[fe80::1]'])(
    'the host %s is ours',
    (name) => expect(admit(host(name))).toBe('200'),
  );
  test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'evil.example:6061'])(
    'the host %s is another site, whose pages may not read: DNS rebinding',
    (name) => expect(admit(host(name))).toMatch(/^421 .*--allow-host/),
  );
  test('--listen and --allow-host name hosts', () => {
    const hosts = ['profiler.internal', 'Other.Internal'];
    expect(admit(host('profiler.internal:6061'), { hosts })).toBe('200');
    expect(admit(host('other.internal.'), { hosts })).toBe('200');
    expect(admit(host('third.internal'), { hosts })).toMatch(/^421 /);
  });
  test.each([
    '',
    'a b',
    '127.0.0.1:x',
    '[::1',
    '::1',
    '[1.2.3.4]',
    'user@127.0.0.1',
    '127.0.0.1:6061:1',
    '127.0.0.1/x',
  ])('the host "%s" is none', (name) => expect(admit(host(name))).toBe('400 malformed Host header'));
  test('as in net/http, HTTP/1.1 needs exactly one', () => {
    expect(admit({ headers: {} })).toBe('400 missing required Host header');
    expect(admit({ headers: {}, version: '1.0' })).toBe('200');
    expect(admit({ headers: { host: ['127.0.0.1', 'evil.example'] } })).toBe('400 too many Host headers');
    expect(admit({ headers: { host: ['127.0.0.1', '127.0.0.1'] }, version: '1.0' })).toBe('400 too many Host headers');
  });
  test('of a target that is a whole URL the host counts, and not the header', () => {
    const url = 'http://evil.example/debug/pprof/heap';
    expect(admit({ url })).toMatch(/^421 /);
    expect(admit({ url: 'http://127.0.0.1:6061/debug/pprof/heap', ...host('evil.example') })).toBe('200');
  });
});

describe('across sites', () => {
  const from = (headers: Record<string, string>, method = 'GET') =>
    admit({ method, headers: { host: '127.0.0.1:6061', ...headers } });
  const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

  test.each([
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none', ...navigation },
    { 'sec-fetch-site': 'cross-site', ...navigation },
    { 'sec-fetch-site': 'same-site', ...navigation },
    { origin: 'http://127.0.0.1:6061' },
    { origin: 'https://127.0.0.1:6061', 'sec-fetch-site': 'same-origin' },
  ])('our own pages, addresses typed and links followed: %j', (headers) => expect(from(headers)).toBe('200'));

  test.each([
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'document' },
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'http://evil.example' },
    { origin: 'http://127.0.0.1:8080' },
    { origin: 'null' },
  ])('what a page elsewhere asks for behind the back: %j', (headers) => expect(from(headers)).toMatch(/^403 /));

  test('a name is the same in capitals', () => {
    expect(from({ host: 'LocalHost:6061', origin: 'http://localhost:6061' })).toBe('200');
    expect(from({ host: 'localhost:6061', origin: 'HTTP://LOCALHOST:6061' })).toBe('200');
  });

  test('a form of another site', () => {
    expect(from({ 'sec-fetch-site': 'cross-site', ...navigation }, 'POST')).toMatch(/^403 /);
  });
});

describe('with a token', () => {
  const shown = (authorization: string) =>
    admit({ headers: { host: 'any.example', authorization } }, { hosts: [], ...WITH_TOKEN });
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

  test.each([`Bearer ${TOKEN}`, `bearer  ${TOKEN}`, basic(`x:${TOKEN}`), basic(`:${TOKEN}`)])(
    'whoever shows it is let in, under any name: %s',
    (authorization) => expect(shown(authorization)).toBe('200'),
  );
  test.each([
    '',
    TOKEN,
    'Bearer',
    `Bearer ${TOKEN}x`,
    `Digest ${TOKEN}`,
    basic(`${TOKEN}:x`),
    basic(`x:${TOKEN} `),
    'Basic =',
  ])('nobody else: "%s"', (authorization) => expect(shown(authorization)).toMatch(/^401 cgoprof: a token is needed/));
  test('its absence is told so that browsers ask for it', () => {
    const request = new IncomingMessage(new Socket());
    request.httpVersionMajor = 1;
    request.httpVersionMinor = 0;
    const ask = () => new Guard({ hosts: [], ...WITH_TOKEN }).admit(request);
    expect(ask).toThrow(
      expect.objectContaining({ headers: { 'WWW-Authenticate': expect.stringMatching(/^Basic realm=/) } }),
    );
  });
  test('a page of another site cannot use what a browser remembers', () => {
    const headers = { host: 'a', authorization: `Bearer ${TOKEN}`, 'sec-fetch-site': 'cross-site' };
    expect(admit({ headers }, WITH_TOKEN)).toMatch(/^403 /);
  });
});
