import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { Upstream } from '../../../src/collect/upstream.js';
import { cProfile } from '../../../src/merge/c-profile.js';
import type { Segment } from '../../../src/native-binding.js';
import { Exchange, HttpError } from '../../../src/serve/exchange.js';
import type { ServedTarget } from '../../../src/serve/served-target.js';
import { answerSymbol } from '../../../src/serve/symbol.js';
import type { ResolvedLocation } from '../../../src/symbolize/symbolize-segment.js';
import { serve as serveHttp, type TestServer } from '../../support/http-server.js';
import { LIBRARY, MAIN, sourceLine, symbolizedSegment } from '../../support/segment-fixture.js';
import { until } from '../../support/service.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const LEAK = MAIN.textStart + 15n;
const hex = (address: bigint) => `0x${address.toString(16)}`;

/** What the modules know beside the stacks: by run-time address, inside the call. */
type Known = ReadonlyMap<bigint, ResolvedLocation>;

/** A target with one stack, of `leak` at LEAK. */
function targetOf(known: Known, upstream?: Upstream, modules = [MAIN, LIBRARY]): ServedTarget {
  const buckets = [{ allocs: 1, allocBytes: 7, stack: ['leak@/src/leak.c:7'] }];
  const symbolized = symbolizedSegment({ buckets, modules });
  const part = { target: {}, symbolized, c: cProfile(symbolized, { showPlumbing: false }) };
  const namesFor = async (_: unknown, segment: Segment) => {
    const locations = new Map<number, Map<bigint, ResolvedLocation>>();
    for (const { frames, frameModules } of segment.buckets) {
      for (const [i, pc] of frames.entries()) {
        const id = frameModules[i] ?? 0;
        const ofModule = locations.get(id) ?? new Map<bigint, ResolvedLocation>();
        locations.set(id, ofModule.set(pc, known.get(pc - 1n) ?? { lines: [], isGo: false }));
      }
    }
    return { segment, locations };
  };
  const now = {};
  return { current: () => now, cPart: async () => part, namesFor, upstream } as unknown as ServedTarget;
}

function answering(target: ServedTarget): RequestListener {
  return (request, response) => {
    const url = new URL(`http://localhost${request.url}`);
    const exchange = new Exchange(request, response, url, url.pathname);
    answerSymbol(exchange, target).catch((error: unknown) => exchange.fail(error));
  };
}

/** @returns its URL */
async function listening(target: ServedTarget): Promise<string> {
  const server = await serveHttp(answering(target));
  closers.push(() => server.close());
  return server.url;
}

async function ask(target: ServedTarget, query: string, body?: string) {
  const response = await fetch(
    `${await listening(target)}/debug/pprof/symbol${query}`,
    body === undefined ? {} : { method: 'POST', body },
  );
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

async function service(answer: (search: string) => string | undefined): Promise<TestServer & { upstream: Upstream }> {
  const server = await serveHttp((request, response) => {
    const text = answer(new URL(request.url ?? '', 'http://localhost').search.slice(1));
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain' });
    response.end(text);
  });
  closers.push(() => server.close());
  return { ...server, upstream: new Upstream(server.url) };
}

/** A client that has sent so much of a question. */
function client(url: string, text: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  closers.push(() => socket.destroy());
  socket.write(text);
  return socket;
}

const HALF_A_BODY = 'POST /debug/pprof/symbol HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n0x1+';

const lines = (...rest: readonly string[]) => ['num_symbols: 1', ...rest, ''].join('\n');

test('the question is the query, or the body of a POST', async () => {
  const target = targetOf(new Map());
  const found = lines(`${hex(LEAK)} leak`);
  expect(await ask(target, `?${hex(LEAK)}`)).toEqual({ status: 200, type: 'text/plain; charset=utf-8', text: found });
  expect((await ask(target, `?${hex(MAIN.imageStart)}`, hex(LEAK))).text).toBe(found);
  expect((await ask(target, '')).text).toBe(lines());
});

test('each address has its line, in order; what is none, or nobody’s, has none', async () => {
  const address = `${LEAK}`;
  const { text } = await ask(targetOf(new Map()), `?junk+0+${address}++0xdead0000+${hex(LEAK + 1n)}+${address}`);
  expect(text).toBe(lines(`${hex(LEAK)} leak`, `${hex(LEAK + 1n)} leak`, `${hex(LEAK)} leak`));
});

test('what is in no stack is looked for in the modules', async () => {
  const go = MAIN.textStart + 0x1000n;
  const wrapper = MAIN.textStart + 0x2000n;
  const [c, unknown] = [LIBRARY.textStart + 0x100n, LIBRARY.textStart + 0x200n];
  const known: Known = new Map([
    [go, { lines: [sourceLine('main.f[go.shape.int]@/f.go:7'), sourceLine('main.outer@/f.go:11')], isGo: true }],
    [wrapper, { lines: [], isGo: true }],
    [c, { lines: [sourceLine('inner@/a.c:7'), sourceLine('outer@/a.c:11')], isGo: false }],
  ]);
  const { text } = await ask(targetOf(known), `?${[go, wrapper, c, unknown, LIBRARY.imageStart].map(hex).join('+')}`);
  expect(text).toBe(lines(`${hex(go)} main.f[...]`, `${hex(c)} inner`, `${hex(unknown)} [libleak.so.1+0x1200]`));
});

test('a module’s code ends where it says, and where two had their place the one that came last has it', async () => {
  const second = { ...LIBRARY, id: 3, path: '/usr/lib/libother.so', textEnd: LIBRARY.textEnd - 0x1000n };
  const target = targetOf(new Map(), undefined, [MAIN, LIBRARY, second]);
  const [last, first, none] = [second.textEnd - 1n, second.textEnd, LIBRARY.textEnd];
  const { text } = await ask(target, `?${[last, first, none].map(hex).join('+')}`);
  expect(text).toBe(lines(`${hex(last)} [libother.so+0x6fff]`, `${hex(first)} [libleak.so.1+0x7000]`));
});

test('what may be Go’s, and is not found, is asked of the service; what lies nowhere is not', async () => {
  const wrapper = MAIN.textStart + 0x2000n;
  const known: Known = new Map([[wrapper, { lines: [], isGo: true }]]);
  const { upstream, requests } = await service((search) => `num_symbols: 1\n${search.split('+')[1]} main.T.M-fm\n`);
  const { text } = await ask(targetOf(known, upstream), `?${hex(LEAK)}+0xdead0000+${hex(wrapper)}+0x4100000000000000`);
  expect(text).toBe(lines(`${hex(LEAK)} leak`, `${hex(wrapper)} main.T.M-fm`));
  expect(requests).toEqual([`/debug/pprof/symbol?0xdead0000+${hex(wrapper)}`]);
});

test('a service that does not answer keeps no other name back, and is asked once', async () => {
  const { upstream, requests } = await service(() => undefined);
  const strangers = Array.from({ length: 500 }, (_, i) => hex(0xdead0000n + BigInt(i)));
  const { text } = await ask(targetOf(new Map(), upstream), '', [hex(LEAK), ...strangers].join('+'));
  expect(text).toBe(lines(`${hex(LEAK)} leak`));
  expect(requests).toHaveLength(1);
});

test('a service is asked about so many addresses at the most, in requests that any server takes', async () => {
  const { upstream, requests } = await service(() => 'num_symbols: 1\n');
  const strangers = Array.from({ length: 20_000 }, (_, i) => hex(0xdead0000n + BigInt(i)));
  await ask(targetOf(new Map(), upstream), '', strangers.join('+'));
  expect(requests).toHaveLength(10);
  expect(Math.max(...requests.map(({ length }) => length))).toBeLessThan(4096);
});

test('a name is one line', async () => {
  const address = LIBRARY.textStart + 0x100n;
  const known: Known = new Map([[address, { lines: [{ ...sourceLine(''), name: 'evil\n0x1 forged' }], isGo: false }]]);
  expect((await ask(targetOf(known), `?${hex(address)}`)).text).toBe(lines(`${hex(address)} evil 0x1 forged`));
});

test('a word as long as Go’s buffer ends the question', async () => {
  const { text } = await ask(targetOf(new Map()), '', `${hex(LEAK)}+${'1'.repeat(4096)}+${hex(LEAK)}`);
  expect(text).toBe(lines(`${hex(LEAK)} leak`, 'reading request: bufio: buffer full'));
  const shorter = await ask(targetOf(new Map()), '', `${hex(LEAK)}+${'1'.repeat(4095)}+${hex(LEAK)}`);
  expect(shorter.text).toBe(lines(`${hex(LEAK)} leak`, `${hex(LEAK)} leak`));
});

test('whoever goes away in mid-question is no defect of ours', async () => {
  const failures: unknown[] = [];
  const server = await serveHttp((request, response) => {
    const url = new URL('http://localhost/debug/pprof/symbol');
    const answered = answerSymbol(new Exchange(request, response, url, url.pathname), targetOf(new Map()));
    answered.catch((error: unknown) => failures.push(error));
    request.once('data', () => socket.destroy());
  });
  closers.push(() => server.close());
  const socket = client(server.url, HALF_A_BODY);
  await until(() => failures.length > 0);
  expect(failures).toEqual([new HttpError(400, 'reading request: unexpected EOF')]);
});

test('a question too long is refused, and a long one answered', async () => {
  const target = targetOf(new Map());
  const most = await ask(target, '', Array.from({ length: 100_000 }, () => hex(LEAK)).join('+'));
  expect([most.status, most.text.split('\n').length]).toEqual([200, 100_002]);
  const more = await ask(target, '', Array.from({ length: 100_001 }, () => '1').join('+'));
  expect([more.status, more.text]).toEqual([413, 'cgoprof: symbol: more than 100000 addresses\n']);
  const longer = await ask(target, '', 'x'.repeat(2 ** 21 + 1));
  expect([longer.status, longer.text]).toEqual([413, 'cgoprof: symbol: more than 2097152 bytes of addresses\n']);
});

test('a question too long is answered before all of it has come, and so is the next one of its client', async () => {
  let answers = '';
  const size = 2 ** 24;
  const head = `POST /debug/pprof/symbol HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`;
  const socket = client(await listening(targetOf(new Map())), head + '1'.repeat(size - 1));
  socket.on('data', (bytes) => (answers += String(bytes)));
  await until(() => answers.includes('bytes of addresses') || socket.destroyed);
  expect(answers).toMatch(/^HTTP\/1\.1 413 .*cgoprof: symbol: more than 2097152 bytes of addresses\n$/s);
  socket.write(`1GET /debug/pprof/symbol?${hex(LEAK)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await until(() => answers.includes('num_symbols') || socket.destroyed);
  expect(answers).toContain(lines(`${hex(LEAK)} leak`));
});

test('an answer too long is refused: a name may be long, and be asked for again and again', async () => {
  const address = LIBRARY.textStart + 0x100n;
  const known: Known = new Map([[address, { lines: [{ ...sourceLine(''), name: 'x'.repeat(2 ** 20) }], isGo: false }]]);
  const some = await ask(targetOf(known), '', Array.from({ length: 8 }, () => hex(address)).join('+'));
  expect(some.status).toBe(200);
  const more = await ask(targetOf(known), '', Array.from({ length: 32 }, () => hex(address)).join('+'));
  expect([more.status, more.text]).toEqual([413, 'cgoprof: symbol: more than 33554432 bytes of names\n']);
});

test('of more than eight bodies on their way one that takes its time makes room, none that does not', async () => {
  const server = await serveHttp(answering(targetOf(new Map())));
  closers.push(() => server.close());
  const { url, requests } = server;
  const said = Array.from({ length: 8 }, () => '');
  const closed: number[] = [];
  for (let i = 0; i < 8; i++) {
    const slow = client(url, HALF_A_BODY).on('close', () => closed.push(i));
    slow.on('data', (bytes) => (said[i] += String(bytes)));
    await until(() => requests.length === i + 1);
  }
  const post = () => fetch(`${url}/debug/pprof/symbol`, { method: 'POST', body: hex(LEAK) });
  const refused = await post();
  expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('connection')]).toEqual([
    503,
    '1',
    'keep-alive',
  ]);
  expect(closed).toEqual([]);
  const now = performance.now.bind(performance);
  const later = vi.spyOn(performance, 'now').mockImplementation(() => now() + 5_000);
  closers.push(() => later.mockRestore());
  const answer = await post();
  expect([answer.status, await answer.text()]).toEqual([200, lines(`${hex(LEAK)} leak`)]);
  await until(() => closed.length > 0);
  expect(closed).toEqual([0]);
  expect(said[0]).toMatch(/^HTTP\/1\.1 503 /);
});

test('of a target no more than eight bodies are held until they are answered; others are answered meanwhile', async () => {
  const target = targetOf(new Map());
  let letGo = () => {};
  const stuck = new Promise<void>((resolve) => (letGo = resolve));
  const part = await target.cPart();
  let waiting = 0;
  const cPart = async () => {
    waiting += 1;
    await stuck;
    return part;
  };
  const url = await listening(Object.assign(targetOf(new Map()), { cPart }));
  const other = await listening(target);
  const post = (to: string) => fetch(`${to}/debug/pprof/symbol`, { method: 'POST', body: hex(LEAK) });
  const held = Array.from({ length: 8 }, () => post(url));
  await until(() => waiting === 8);
  const refused = await post(url);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  // Neither who asks for nothing, nor who asks about another target, waits for them.
  expect(await (await fetch(`${url}/debug/pprof/symbol`)).text()).toBe(lines());
  expect((await post(other)).status).toBe(200);
  expect(await (await fetch(`${other}/debug/pprof/symbol?${hex(LEAK)}`)).text()).toBe(lines(`${hex(LEAK)} leak`));
  letGo();
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  expect((await post(url)).status).toBe(200);
});

test('no more than eight questions in queries are answered at once', async () => {
  const target = targetOf(new Map());
  const part = await target.cPart();
  let letGo = () => {};
  const stuck = new Promise<void>((resolve) => (letGo = resolve));
  let begun = 0;
  const cPart = async () => {
    begun += 1;
    await stuck;
    return part;
  };
  const server = await serveHttp(answering(Object.assign(target, { cPart })));
  closers.push(() => server.close());
  const answers = Array.from({ length: 9 }, () => fetch(`${server.url}/debug/pprof/symbol?${hex(LEAK)}`));
  await until(() => server.requests.length === 9);
  await new Promise(setImmediate);
  expect(begun).toBe(8);
  letGo();
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => 200));
});

test('names are not looked up for who has left', async () => {
  const lookedUp: number[] = [];
  const closed: Promise<unknown>[] = [];
  const failures: unknown[] = [];
  let socket: Socket | undefined;
  const namesFor: ServedTarget['namesFor'] = async (_, segment) => {
    lookedUp.push(segment.buckets[0]?.frames.length ?? 0);
    socket?.destroy();
    await Promise.all(closed);
    return { segment, locations: new Map() };
  };
  const target = Object.assign(targetOf(new Map()), { namesFor });
  let over = false;
  const server = await serveHttp((request, response) => {
    closed.push(once(response, 'close'));
    const exchange = new Exchange(request, response, new URL('http://localhost/debug/pprof/symbol'), '');
    const answered = answerSymbol(exchange, target).catch((error: unknown) => failures.push(error));
    void answered.finally(() => (over = true));
  });
  closers.push(() => server.close());
  const body = Array.from({ length: 28_000 }, (_, i) => hex(LIBRARY.textStart + BigInt(i))).join('+');
  const head = `POST /debug/pprof/symbol HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket = client(server.url, head + body);
  await until(() => over);
  expect([lookedUp, failures]).toEqual([[10_000], []]);
});

test('a service is not asked any longer for who has left', async () => {
  const patience = AbortSignal.timeout.bind(AbortSignal);
  // Nothing else is to end what it is asked.
  const spy = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => patience(600_000));
  closers.push(() => spy.mockRestore());
  let ended: Promise<unknown> | undefined;
  const hung = await serveHttp((_, response) => {
    ended = once(response, 'close');
    leaving.abort();
  });
  closers.push(() => hung.close());
  const leaving = new AbortController();
  const url = await listening(targetOf(new Map(), new Upstream(hung.url)));
  const asked = fetch(`${url}/debug/pprof/symbol?0xdead0000`, { signal: leaving.signal });
  await expect(asked).rejects.toThrow(/aborted/);
  await ended;
});

test('an answer too long is not looked up to its end', async () => {
  const target = targetOf(new Map());
  const lookedUp: number[] = [];
  const namesFor: ServedTarget['namesFor'] = async (_, segment) => {
    const [{ frames } = { frames: [] }] = segment.buckets;
    lookedUp.push(frames.length);
    const known = { lines: [{ ...sourceLine(''), name: 'x'.repeat(4096) }], isGo: false };
    return { segment, locations: new Map([[LIBRARY.id, new Map([...frames].map((pc) => [pc, known]))]]) };
  };
  const addresses = Array.from({ length: 28_000 }, (_, i) => hex(LIBRARY.textStart + BigInt(i)));
  const refused = await ask(Object.assign(target, { namesFor }), '', addresses.join('+'));
  expect([refused.status, lookedUp]).toEqual([413, [10_000]]);
});

test('a question is of one process: what the service of the next one says is not told of it', async () => {
  const { upstream, requests } = await service(() => 'num_symbols: 1\n0xdead0000 main.next\n');
  const target = targetOf(new Map(), upstream);
  let now = {};
  let restarts = 1;
  const { namesFor } = target;
  const restarting: ServedTarget['namesFor'] = async (of, segment) => {
    if (restarts-- > 0) now = {};
    return namesFor(of, segment);
  };
  await ask(Object.assign(target, { current: () => now, namesFor: restarting }), `?${hex(LEAK)}+0xdead0000`);
  expect(requests).toHaveLength(2);
});

test('names are looked up for one question at a time', async () => {
  const target = targetOf(new Map());
  const { namesFor } = target;
  let [now, most] = [0, 0];
  const counted: ServedTarget['namesFor'] = async (of, segment) => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now -= 1;
    return namesFor(of, segment);
  };
  const slow = Object.assign(target, { namesFor: counted });
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(slow, `?${hex(LIBRARY.textStart)}`)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 200));
  expect(most).toBe(1);
});

test('the frames of a snapshot are made once for all who ask of it', async () => {
  const target = targetOf(new Map());
  const { c } = await target.cPart();
  const { location } = c;
  const locations = vi.spyOn(c, 'location', 'get').mockReturnValue(location);
  expect((await ask(target, `?${hex(LEAK)}`)).text).toBe(lines(`${hex(LEAK)} leak`));
  expect((await ask(target, `?${hex(LEAK)}`)).text).toBe(lines(`${hex(LEAK)} leak`));
  expect(locations).toHaveBeenCalledTimes(1);
});

test('a service that hangs keeps names back for a while only, and nobody’s turn', async () => {
  const patience = AbortSignal.timeout.bind(AbortSignal);
  // Less than what a service has for any other answer.
  const spy = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => patience(ms < 10_000 ? 200 : ms));
  closers.push(() => spy.mockRestore());
  const hung = await serveHttp(() => {});
  closers.push(() => hung.close());
  const asked = ask(targetOf(new Map(), new Upstream(hung.url)), `?${hex(LEAK)}+0xdead0000`);
  await until(() => hung.requests.length > 0);
  expect((await ask(targetOf(new Map()), `?${hex(LEAK)}`)).text).toBe(lines(`${hex(LEAK)} leak`));
  expect((await asked).text).toBe(lines(`${hex(LEAK)} leak`));
});
