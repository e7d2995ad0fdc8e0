import { afterEach, expect, test } from 'vitest';
import { Upstream } from '../../../src/collect/upstream.js';
import { CgoprofError } from '../../../src/errors.js';
import { cProfile } from '../../../src/merge/c-profile.js';
import { Exchange, HttpError } from '../../../src/serve/exchange.js';
import { answerHeapText } from '../../../src/serve/heap-text.js';
import type { ServedTarget } from '../../../src/serve/served-target.js';
import { serve as serveHttp } from '../../support/http-server.js';
import { symbolizedSegment } from '../../support/segment-fixture.js';
import { until } from '../../support/service.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const GO_TEXT = 'heap profile: 1: 1021 [1: 1022] @ heap/2\n1: 1021 [1: 1021] @ 0x401011\n#\t0x401010\n\n';
const SYMBOLIZED = symbolizedSegment({ buckets: [{ allocs: 3, allocBytes: 3027, stack: ['leak@/src/leak.c:7'] }] });
const C = cProfile(SYMBOLIZED, { showPlumbing: false });

interface FakeTarget {
  readonly upstream?: Upstream;
  readonly end?: object;
  /** What is to be said of the service. */
  readonly note?: string;
  /** Told before C is read. */
  readonly readC?: () => void;
  /** Its process ends while C is read. */
  readonly endsWhileRead?: boolean;
}

function fakeTarget({ upstream, end, note, readC, endsWhileRead = false }: FakeTarget): ServedTarget {
  let now = { end };
  return {
    name: 'app',
    upstream,
    current: () => now,
    goNote: async () => note,
    newCPart: async () => {
      readC?.();
      if (endsWhileRead) now = { end: {} };
      return { target: now, symbolized: SYMBOLIZED, c: C };
    },
    snapshot: async ({ cAlone }: { cAlone: boolean }) => ({
      c: C,
      go: undefined,
      notes: [cAlone ? 'C alone' : 'pid 7 has ended'],
    }),
  } as unknown as ServedTarget;
}

async function listening(target: ServedTarget) {
  const server = await serveHttp((request, response) => {
    const url = new URL(`http://localhost${request.url}`);
    const exchange = new Exchange(request, response, url, url.pathname);
    const name = url.pathname.includes('allocs') ? 'allocs' : 'heap';
    answerHeapText(exchange, target, name).catch((error: unknown) =>
      exchange.fail(error instanceof CgoprofError ? new HttpError(502, error.message) : error),
    );
  });
  closers.push(() => server.close());
  return { get: (path: string) => fetch(`${server.url}${path}`), asked: server.requests };
}

/** A service whose text comes when it is told to. */
async function service(text = GO_TEXT) {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = await serveHttp((_, response) => void released.then(() => response.end(text)));
  closers.push(() => server.close());
  return { upstream: new Upstream(server.url), requests: server.requests, release };
}

test('headers are those of net/http/pprof; both sides are in the text', async () => {
  const { upstream, release } = await service();
  release();
  const response = await (await listening(fakeTarget({ upstream }))).get('/heap?debug=1');
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  });
  expect(response.headers.has('content-disposition')).toBe(false);
  expect(await response.text()).toMatch(/^heap profile: 4: 4048 \[4: 4049\] @ heap\/2\n1: 1021 .*\n.*\n\n3: 3027 /);
});

test('only a heap profile has Go collect first', async () => {
  const { upstream, requests, release } = await service();
  release();
  const { get } = await listening(fakeTarget({ upstream }));
  for (const path of ['/heap?debug=2', '/heap?debug=1&gc=1', '/heap?debug=1&gc=0', '/allocs?debug=1&gc=1']) {
    expect((await get(path)).status).toBe(200);
  }
  const [plain, collected] = ['/debug/pprof/heap?debug=1', '/debug/pprof/heap?gc=1&debug=1'];
  expect(requests).toEqual([plain, collected, plain, plain]);
});

test('whoever asks meanwhile gets the same one, and the next one a new one; C is read after Go', async () => {
  const { upstream, requests, release } = await service();
  const order: string[] = [];
  const target = fakeTarget({
    upstream,
    readC: () => void order.push(`C after ${requests.length}`),
  });
  const { get, asked } = await listening(target);
  const answers = [get('/heap?debug=1'), get('/allocs?debug=1'), get('/heap?debug=1')];
  await until(() => asked.length === 3 && requests.length > 0);
  expect(order).toEqual([]);
  release();
  const texts = await Promise.all(answers.map(async (answer) => (await answer).text()));
  expect(new Set(texts).size).toBe(1);
  expect(order).toEqual(['C after 1']);
  await get('/heap?debug=1');
  expect(order).toEqual(['C after 1', 'C after 2']);
});

test('whoever has Go collect first has a text of their own', async () => {
  const { upstream, requests, release } = await service();
  const { get, asked } = await listening(fakeTarget({ upstream }));
  const answers = [get('/heap?debug=1'), get('/heap?debug=1&gc=1'), get('/heap?debug=1&gc=1')];
  await until(() => asked.length === 3);
  release();
  for (const answer of answers) expect((await answer).status).toBe(200);
  expect([...requests].sort()).toEqual(['/debug/pprof/heap?debug=1', '/debug/pprof/heap?gc=1&debug=1']);
});

test('what is not a text of Go’s is an error', async () => {
  const other = await service('<html>');
  other.release();
  const refused = await (await listening(fakeTarget({ upstream: other.upstream }))).get('/heap?debug=1');
  expect([refused.status, await refused.text()]).toEqual([
    502,
    expect.stringMatching(/heap\?debug=1: not the text of a Go heap profile\n$/),
  ]);
});

test('what came while the process ended may be another’s: it is left out', async () => {
  const { upstream, release } = await service();
  release();
  const { get } = await listening(fakeTarget({ upstream, endsWhileRead: true }));
  const text = await (await get('/heap?debug=1')).text();
  expect(text).toMatch(/^heap profile: 3: 3027 \[3: 3028\] @ heap\/2\n/);
  expect(text).toContain('# cgoprof: pid 7 has ended\n');
});

test('without a service, and of a process that has ended, there is C; nobody is asked', async () => {
  const { upstream, requests } = await service();
  for (const target of [fakeTarget({}), fakeTarget({ upstream, end: {} })]) {
    const text = await (await (await listening(target)).get('/heap?debug=1')).text();
    expect(text).toMatch(/^heap profile: 3: 3027 \[3: 3028\] @ heap\/2\n/);
    expect(text).toContain('# cgoprof: pid 7 has ended\n');
  }
  expect(requests).toEqual([]);
});

test('of a service that is another process the text says so', async () => {
  const { upstream, release } = await service();
  release();
  const { get } = await listening(fakeTarget({ upstream, note: 'the Go profile is of another program' }));
  expect(await (await get('/heap?debug=1')).text()).toContain('# cgoprof: the Go profile is of another program\n');
});

test('by go=none there is C while a service does not answer', async () => {
  const stuck = await service();
  const { get } = await listening(fakeTarget({ upstream: stuck.upstream }));
  const text = await (await get('/allocs?debug=1&go=none')).text();
  expect(text).toMatch(/^heap profile: 3: 3027 \[3: 3028\] @ heap\/2\n/);
  expect(text).toContain('# cgoprof: C alone\n');
  expect(stuck.requests).toEqual([]);
});
