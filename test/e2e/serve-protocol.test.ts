// Promise: `cgoprof serve` speaks the protocol of net/http/pprof. The service is asked directly and through cgoprof: the
// answers have the same status, headers and error texts, and `go tool pprof` reads either; profiles differ by holding C.
import { execFile } from 'node:child_process';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { isDeepStrictEqual, promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';
import { Workshop } from '../support/cgoprof.js';
import { type CheckedProfile, check, checkedSamples, top } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { samplesAt, siteOf, total } from '../support/sites.js';

const HELD = siteOf('service', 'held');
const GO = siteOf('service', 'go');

/** Compared. Date, Content-Length, Transfer-Encoding and Connection are of each connection's own. */
const HEADERS = [
  'content-type',
  'content-disposition',
  'x-content-type-options',
  'x-go-pprof',
  'allow',
  'location',
] as const;

let shop: Workshop;
let program: string;
beforeAll(async () => {
  program = await buildTargetAside('service');
  shop = new Workshop();
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

interface Both {
  readonly service: Service;
  readonly serving: ServingTool;
}

/** The service in exact mode, and cgoprof before it. */
async function start(): Promise<Both> {
  // The mux as it is for modules of Go 1.22 and later: with methods.
  const service = await Service.run(shop, ['--rate', '1'], [program], { env: { GODEBUG: 'httpmuxgo121=0' } });
  return { service, serving: await ServingTool.start(shop, `${service.pid}`, '--go', service.url) };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** Sends the path as it is, dots and all. */
function ask(url: string, method: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request(url, { method, path, agent: false }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const headers = Object.fromEntries(HEADERS.map((name) => [name, response.headers[name]]));
      resolve({ status: response.statusCode ?? 0, headers: headers as Answer['headers'], body: Buffer.concat(chunks) });
    })
      .on('error', reject)
      .end();
  });
}

/** What must be the same: of an error, and of a redirection, the text too. */
function comparable({ status, headers, body }: Answer) {
  return { status, headers, text: status === 200 ? '' : body.toString() };
}

interface Difference {
  readonly method: string;
  readonly path: string;
  readonly own: ReturnType<typeof comparable>;
  readonly ours: ReturnType<typeof comparable>;
}

/** Answers that are not those of the service itself. All are asked at once. @param at Of the target, at ours. */
async function differences({ service, serving }: Both, rows: readonly Row[], at = ''): Promise<Difference[]> {
  const compared = rows.map(async ([method, path]) => {
    const own = comparable(await ask(service.url, method, path));
    const ours = comparable(await ask(serving.url, method, `${at}${path}`));
    return { method, path, own, ours };
  });
  return (await Promise.all(compared)).filter(({ own, ours }) => !isDeepStrictEqual(own, ours));
}

const MERGED = ['heap', 'allocs'];
const LOOKED_UP = ['goroutine', 'block', 'mutex', 'threadcreate', 'goroutineleak', 'example.org/pool.lent'];
const OTHERS = ['', 'cmdline', 'symbol', 'nosuch', 'heap/', 'cmdline/', 'he%61p', 'example.org%2Fpool.lent', 'a%5cb'];

const PARAMETERS = [
  '',
  '?debug=0',
  '?debug=1',
  '?debug=-1',
  '?debug=%2B1',
  '?debug=x',
  '?debug=1.5',
  '?debug=99999999999999999999',
  '?debug=0&debug=1',
  '?debug=1;gc=1',
  '?debug=%zz&debug=1',
  '?gc=1',
  '?gc=-1',
  '?gc=x',
  '?gc=1&gc=0',
  '?gc=99999999999999999999&debug=1',
  '?seconds=',
  '?seconds=0',
  '?seconds=-1',
  '?seconds=x',
  '?seconds=1.5',
  '?seconds=0x1',
  '?seconds=%201',
  '?seconds=99999999999999999999',
  '?seconds=0&seconds=1',
  '?seconds=0&debug=1',
  '?seconds=1&debug=1',
  '?seconds=1&debug=x&debug=1',
  '?seconds=0&gc=1',
  '?unknown',
];

type Row = readonly [method: string, path: string];

/** Over at once: more seconds than a time.Duration has room for. */
const INSTANT = '?seconds=9223372036854775807';

function rowsOf(name: string): Row[] {
  return [
    ...[...PARAMETERS, INSTANT].map((text): Row => ['GET', `${name}${text}`]),
    ...['', '?debug=1', '?seconds=0'].map((text): Row => ['HEAD', `${name}${text}`]),
    ...['POST', 'PUT', 'OPTIONS'].map((method): Row => [method, `${name}?seconds=0`]),
  ];
}

/** What is asked below /debug/pprof/, by who answers. */
const ROWS: Readonly<Record<string, readonly Row[]>> = {
  heap: rowsOf('heap'),
  allocs: rowsOf('allocs'),
  'profiles that are looked up': LOOKED_UP.flatMap(rowsOf),
  'other names': OTHERS.flatMap(rowsOf).filter(([method, name]) => method !== 'POST' || !name.startsWith('symbol')),
};

/** One at a time: the service takes no two at once. */
const TAKEN: readonly Row[] = [
  ['GET', 'profile?seconds=1'],
  ['GET', 'trace?seconds=0.1'],
  ['HEAD', 'trace?seconds=0.1'],
  ...['profile', 'trace'].map((name): Row => ['POST', `${name}?seconds=1`]),
];

/** While another is taken. Whatever is no number means as long as without one. */
const TAKEN_TWICE = ['', '?seconds=1', '?seconds=x', '?seconds=-1', '?debug=1', '?seconds=1&seconds=x'];

/** Some of everything, for below /p/NAME. */
const NAMED: readonly Row[] = [
  ['GET', ''],
  ['HEAD', 'heap'],
  ['GET', 'heap?debug=1'],
  ['GET', 'heap?debug=x&gc=1'],
  ['GET', 'heap?seconds=x'],
  ['GET', 'allocs?seconds=1&debug=1'],
  ['PUT', 'allocs'],
  ['GET', 'cmdline'],
  ['GET', 'symbol?0x1'],
  ['GET', 'goroutine?debug=2'],
  ['GET', 'goroutine?seconds=1.5'],
  ['GET', 'example.org%2Fpool.lent'],
  ['GET', 'trace?seconds=0.1'],
  ['POST', 'trace'],
  ['GET', 'nosuch'],
];

/** What no client of good will sends: status of the service's own answer, and of ours. */
const REFUSED: readonly (readonly [path: string, own: number, ours: number])[] = [
  ['/debug/pprof/%00', 404, 400],
  ['/debug/pprof/heap%00', 404, 400],
  ['/debug/pprof/%2e', 404, 400],
  ['/debug/pprof/%2e/heap', 404, 400],
  ['/debug/pprof/%2e%2E/heap', 404, 400],
  ['/debug/pprof/a\\b', 404, 400],
  ['/debug/pprof/heap#a', 404, 400],
  ['/debug/pprof/\xe9', 404, 400],
  ['/debug/pprof/%zz', 400, 400],
  ['/%64ebug/pprof/heap', 200, 404],
];

/** Around it. */
const PATHS: readonly string[] = [
  '/debug/pprof',
  '/debug/pprof?a=%3Cb%3E&c=d',
  '//debug/pprof/heap',
  '/debug//pprof/heap?debug=1&x',
  '/debug/./pprof/',
  '/debug/pprof/../vars',
  '/debug/pprof/..',
  '/debug/pprof/a//b',
];

describe('what net/http/pprof answers', () => {
  it.each(Object.keys(ROWS))('of %s is answered alike, whatever is asked', async (kind) => {
    const both = await start();
    const rows = (ROWS[kind] ?? []).map(([method, path]): Row => [method, `/debug/pprof/${path}`]);
    const found: Difference[] = [];
    for (let i = 0; i < rows.length; i += 4) found.push(...(await differences(both, rows.slice(i, i + 4))));
    expect(found).toEqual([]);
    expect(both.serving.stderr).toMatch(/^[^\n]+\n[^\n]+\n$/); // Nothing but what is served, and where.
  });

  it('of what is taken meanwhile, and around it, is too', async () => {
    const both = await start();
    for (const [method, path] of TAKEN) {
      expect(await differences(both, [[method, `/debug/pprof/${path}`]])).toEqual([]);
    }
    const paths = PATHS.flatMap((path) => ['GET', 'HEAD', 'POST'].map((method): Row => [method, path]));
    expect(await differences(both, paths)).toEqual([]);
  });

  it.each([
    ['profile', /^Could not enable CPU profiling: cpu profiling already in use$/m],
    ['trace', /^Could not enable tracing: .* already enabled$/m],
  ])('of a %s while another is taken is the same refusal', async (name, text) => {
    const both = await start();
    const leave = new AbortController();
    const path = `/debug/pprof/${name}`;
    const taken = fetch(`${both.serving.url}${path}?seconds=600`, { signal: leave.signal });
    const end = Promise.allSettled([taken]);
    await untilWaiting(both.service, `pprof.${name === 'trace' ? 'Trace' : 'Profile'}(`, true);
    const rows = ['GET', 'HEAD', 'POST'].flatMap((method) =>
      TAKEN_TWICE.map((query): Row => [method, `${path}${query}`]),
    );
    expect(await differences(both, rows)).toEqual([]);
    expect(await both.serving.get(path)).toEqual({ status: 500, text: expect.stringMatching(text) });
    leave.abort();
    await end;
  });

  it('is answered alike below the name of a target, too', async () => {
    const both = await start();
    const paths = NAMED.map(([method, path]): Row => [method, `/debug/pprof/${path}`]);
    expect(await differences(both, paths, '/p/service')).toEqual([]);
  });

  it('over some seconds is too', async () => {
    const { service, serving } = await start();
    const compare = async (name: string) => {
      const path = `/debug/pprof/${name}?seconds=1`;
      const [own, ours] = await Promise.all([ask(service.url, 'GET', path), ask(serving.url, 'GET', path)]);
      expect(comparable(ours)).toEqual(comparable(own));
    };
    await Promise.all([...MERGED, ...LOOKED_UP].map(compare));
  });

  it('has the same bytes where it is no heap profile', async () => {
    const { service, serving } = await start();
    for (const path of ['cmdline', 'example.org/pool.lent?debug=1', 'example.org/pool.lent?debug=2']) {
      const [own, ours] = [
        await ask(service.url, 'GET', `/debug/pprof/${path}`),
        await serving.get(`/debug/pprof/${path}`),
      ];
      expect(ours).toEqual({ status: 200, text: own.body.toString() });
      expect(ours.text).not.toBe('');
    }
  });

  it('is in the heap profile as it is, and C beside it', async () => {
    const { service, serving } = await start();
    for (const path of ['/debug/pprof/heap', '/debug/pprof/allocs']) {
      const own = shop.write('own.pb.gz', (await ask(service.url, 'GET', `${path}?gc=1`)).body);
      const ours = await serving.fetchTo(path, shop.path('ours.pb.gz'));
      expect(samplesAt(checkedSamples(ours), GO)).toEqual(samplesAt(checkedSamples(own), GO));
      expect(total(samplesAt(checkedSamples(own), HELD))).toEqual([0, 0, 0, 0]);
      expect(total(samplesAt(checkedSamples(ours), HELD))).toEqual([101, HELD.bytes, 101, HELD.bytes]);
      const header = ({ SampleTypes, DefaultSampleType, PeriodType, Period }: CheckedProfile) => [
        SampleTypes,
        DefaultSampleType,
        PeriodType,
        Period,
      ];
      expect(header(check(ours))).toEqual(header(check(own)));
    }
  });

  it('differs for paths that no client of good will sends: they are refused unread', async () => {
    const { service, serving } = await start();
    for (const [path, ...statuses] of REFUSED) {
      const [own, ours] = [await ask(service.url, 'GET', path), await ask(serving.url, 'GET', path)];
      expect([path, own.status, ours.status]).toEqual([path, ...statuses]);
    }
  });

  it('differs for symbol: addresses may be posted, as to services of Go before 1.22', async () => {
    const { serving } = await start();
    const response = await fetch(`${serving.url}/debug/pprof/symbol`, { method: 'POST', body: '0x1' });
    expect([response.status, (await response.text()).split('\n')[0]]).toEqual([200, 'num_symbols: 1']);
  });
});

/** `go tool pprof`, which may take its time. @throws with what it said when it failed */
async function goTool(...words: string[]): Promise<string> {
  const env = { ...process.env, PPROF_TMPDIR: tmpdir(), PPROF_BINARY_PATH: '/nonexistent' };
  return (await promisify(execFile)(findGo(), ['tool', 'pprof', ...words], { env, maxBuffer: 2 ** 28 })).stdout;
}

/** Whether the service waits, in a function of net/http/pprof, for some seconds to pass. */
async function isWaiting({ url }: Service, frame: string): Promise<boolean> {
  const dump = (await ask(url, 'GET', '/debug/pprof/goroutine?debug=2')).body.toString();
  return dump.split('\n\n').some((stack) => /^goroutine \d+ .*\[select/.test(stack) && stack.includes(frame));
}

async function untilWaiting(service: Service, frame: string, expected: boolean): Promise<void> {
  while ((await isWaiting(service, frame)) !== expected) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Between the two profiles whose difference somebody has asked for. */
const IN_WINDOW = 'serveDeltaProfile';

describe('go tool pprof', () => {
  it('shows C and Go of a URL, and the difference to a file and to another URL', async () => {
    const { service, serving } = await start();
    const heap = `${serving.url}/debug/pprof/heap?gc=1`;
    expect(await goTool('-top', '-unit=B', '-nodecount=100000', heap)).toMatch(/ 101909B .* hold$/m);
    expect(await goTool('-raw', heap)).toMatch(/^ +101 +101909 +101 +101909: /m);

    const before = await serving.fetchTo('/debug/pprof/heap?gc=1', shop.path('before.pb.gz'));
    await service.obey('grow');
    const changes = await goTool('-top', '-unit=B', '-nodecount=100000', '-nodefraction=0', `-base=${before}`, heap);
    expect(changes).toMatch(/ 101909B .* hold$/m);
    expect(changes).toMatch(/ \d+B .* main\.holdGo$/m);
    expect(await goTool('-top', '-unit=B', '-nodecount=100000', `-base=${heap}`, heap)).not.toMatch(
      / (hold|main\.holdGo)$/m,
    );
  });

  it('shows what changes within some seconds, of both sides', async () => {
    const { service, serving } = await start();
    const output = shop.path('delta.pb.gz');
    const taken = goTool('-proto', `-output=${output}`, '-seconds=5', `${serving.url}/debug/pprof/heap`);
    await untilWaiting(service, IN_WINDOW, true);
    await service.obey('grow');
    await ask(service.url, 'GET', '/debug/pprof/heap?gc=1'); // Go's profiles are as old as the last collection.
    expect(await isWaiting(service, IN_WINDOW)).toBe(true);
    await taken;
    expect(total(samplesAt(checkedSamples(output), HELD))).toEqual([101, HELD.bytes, 101, HELD.bytes]);
    expect(total(samplesAt(checkedSamples(output), GO))).toEqual([103, GO.bytes, 103, GO.bytes]);
    expect(top('-sample_index=inuse_space', output).get('hold')).toEqual([HELD.bytes, HELD.bytes]);
    expect(await goTool('-top', output)).toMatch(/^Duration: [5-9](\.\d+)?s/m);
  });

  it('prints what was wrong, ours and the service’s', async () => {
    const { service, serving } = await start();
    const said = (path: string) =>
      goTool('-top', `${serving.url}/debug/pprof/${path}`).catch((error: Error) => error.message);
    expect(await said('nosuch')).toContain('404 Not Found - Unknown profile');
    expect(await said('heap?seconds=x')).toContain(
      '400 Bad Request - invalid value for "seconds" - must be a positive',
    );
    await service.obey('close');
    for (const path of ['heap', 'goroutine', 'heap?seconds=1']) {
      expect(await said(path)).toMatch(
        /502 Bad Gateway - cgoprof: .*: connection refused\n {2}Is the service listening/,
      );
    }
  });
});

describe('a client that goes away', () => {
  it('ends what the service does for it', async () => {
    const { service, serving } = await start();
    const leave = new AbortController();
    const { signal } = leave;
    const asked = ['profile', 'heap'].map((name) =>
      fetch(`${serving.url}/debug/pprof/${name}?seconds=600`, { signal }).then((response) => response.text()),
    );
    const ends = Promise.allSettled(asked);
    await untilWaiting(service, IN_WINDOW, true);
    const profile = () => ask(service.url, 'GET', '/debug/pprof/profile?seconds=1');
    let { status } = await profile();
    while (status === 200) ({ status } = await profile()); // It came before the one that is passed through.
    leave.abort();
    await ends;
    await untilWaiting(service, IN_WINDOW, false);
    while ((await profile()).status !== 200);
    expect(serving.stderr.split('\n')).toHaveLength(3); // what is served; where; nothing more
  });
});

it('of a process that has ended the command line is that of what it left, and there are no windows', async () => {
  const { service, serving } = await start();
  process.kill(service.pid, 'SIGKILL');
  await service.finished;
  expect(await serving.get('/debug/pprof/cmdline')).toEqual({ status: 200, text: program });
  expect(await serving.get('/debug/pprof/heap?seconds=30')).toEqual({
    status: 503,
    text: expect.stringMatching(/^cgoprof: \S+: its process has ended at 20\S+Z: nothing changes any more\n$/),
  });
  expect((await serving.get('/debug/pprof/goroutine')).status).toBe(502);
});
