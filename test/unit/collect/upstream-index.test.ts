import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Upstream } from '../../../src/collect/upstream.js';
import { fetchUpstreamIndex, parseIndex } from '../../../src/collect/upstream-index.js';
import { serve } from '../../support/http-server.js';

/** As Go 1.26 writes it. */
const row = (count: number | string, href: string, name: string) =>
  `<tr><td>${count}</td><td><a href='${href}?debug=1'>${name}</a></td></tr>\n`;
const page = (rows: string, descriptions = '') =>
  `<html>\n<table>\n<thead><td>Count</td><td>Profile</td></thead>\n${rows}</table>\n<ul>\n${descriptions}</ul>\n</html>`;
const names = (text: string) => parseIndex(text).map(({ name }) => name);

describe('parseIndex', () => {
  it('takes rows and their descriptions', () => {
    const descriptions = '<li><div class=profile-name>block: </div> Stack &#34;traces&#34;</li>\n';
    expect(parseIndex(page(row(3, 'block', 'block') + row(0, 'trace', 'trace'), descriptions))).toEqual([
      { name: 'block', count: 3, description: 'Stack "traces"' },
      { name: 'trace', count: 0, description: '' },
    ]);
  });

  it('takes the page that Go wrote before 1.17', () => {
    const old = '<tr><td>5</td><td><a href=mutex?debug=1>mutex</a></td></tr>';
    const description = '<li><div class="profile-name">mutex:</div> Holders</li>';
    expect(parseIndex(page(old, description))).toEqual([{ name: 'mutex', count: 5, description: 'Holders' }]);
  });

  it('takes the name and not where it leads', () => {
    expect(names(page(row(1, 'https://elsewhere.example/', 'example.org/pool')))).toEqual(['example.org/pool']);
  });

  it('takes back what Go has escaped, and that once', () => {
    expect(names(page(row(1, 'x', 'a&lt;b&gt; &#39;c&#39; &amp;amp;')))).toEqual([`a<b> 'c' &amp;`]);
  });

  it.each([
    ['an empty page', ''],
    ['a name that leads upwards', page(row(1, 'x', '../../secret'))],
    ['a name that leads elsewhere', page(row(1, 'x', '//elsewhere.example'))],
    ['a name with tags', page(row(1, 'x', '<b>heap</b>'))],
    ['a count that is none', page(row('-1', 'x', 'heap') + row('1e9', 'x', 'heap') + row('9'.repeat(99), 'x', 'heap'))],
    ['a name without an end', page(row(1, 'x', 'n'.repeat(257)))],
  ])('nothing of %s', (_, text) => expect(parseIndex(text)).toEqual([]));

  it('a name counts once, and of very many the first', () => {
    const many = Array.from({ length: 1000 }, (_, i) => row(i, 'x', `p${i}`)).join('');
    const found = parseIndex(page(row(7, 'x', 'p0') + many));
    expect(found).toHaveLength(256);
    expect(found[0]).toEqual({ name: 'p0', count: 7, description: '' });
  });
});

describe('fetchUpstreamIndex', () => {
  const fetchFrom = async (answer: RequestListener, timeoutMs = 10_000) => {
    const server = await serve(answer);
    onTestFinished(() => server.close());
    return {
      server,
      listed: await fetchUpstreamIndex(new Upstream(server.url), timeoutMs).catch((error: Error) => error.message),
    };
  };

  it('asks for the index and nothing else', async () => {
    const { server, listed } = await fetchFrom((_, response) => response.end(page(row(1, 'x', 'block'))));
    expect(listed).toEqual([{ name: 'block', count: 1, description: '' }]);
    expect(server.requests).toEqual(['/debug/pprof/']);
  });

  it.each<[string, RequestListener, RegExp]>([
    ['is not there', (_, response) => response.writeHead(404).end('no'), /the server answered 404 Not Found$/],
    ['does not end', (_, response) => response.end('x'.repeat(300_000)), /longer than 262144 bytes$/],
    [
      'is cut short',
      (_, response) => response.writeHead(200, { 'Content-Length': 99 }).write('x', () => response.destroy()),
      /^its index page: the answer ended early$/,
    ],
    [
      'does not come',
      (request) => request.socket.destroy(),
      /: the server closed the connection before it had answered$/,
    ],
    [
      'leads elsewhere',
      (_, response) => response.writeHead(302, { Location: 'http://127.0.0.2:1/' }).end(),
      /302 Found$/,
    ],
  ])('says why when the page %s', async (_, answer, why) => {
    const { listed } = await fetchFrom(answer);
    expect(listed).toEqual(expect.stringMatching(why));
  });

  it.each<[string, RequestListener]>([
    ['does not come', () => {}],
    ['comes in part', (_, response) => void response.write('<html>')],
  ])('waits no longer than it is to for a page that %s', async (_, answer) => {
    expect((await fetchFrom(answer, 50)).listed).toBe('its index page: not there within 0.05 seconds');
  });

  it('keeps no connection for a page that it does not take', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const { listed } = await fetchFrom((_, response) => {
      closed = once(response, 'close');
      response.writeHead(503).write('a page that has no end');
    });
    expect(listed).toMatch(/503 Service Unavailable$/);
    await closed;
  });
});
