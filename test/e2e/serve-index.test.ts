// Promise: the page at /debug/pprof/ lists what net/http/pprof's lists, tells sites that hold memory from those that ever
// did, as google/pprof counts them too, and comes whatever is missing.
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { type CheckedProfile, check } from '../support/go-pprof.js';
import { freePort, serve as serveHttp } from '../support/http-server.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';

let shop: Workshop;
let program: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('service');
});
afterAll(() => shop.remove());

const run = () => Service.run(shop, ['--rate', '1'], [program]);

async function indexOf(serving: ServingTool, path = '/debug/pprof/'): Promise<string> {
  const response = await fetch(`${serving.url}${path}`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
  const page = await response.text();
  expect(page).not.toContain('<script');
  return page;
}

/** Names and counts, in the order of the page, those of one side too; of Go's own as well. */
const rows = (page: string) =>
  [...page.matchAll(/<tr><td>(\d+)(?: \(C alone\))?<\/td><td><a href='[^']*'>([^<]+)<\/a><\/td><\/tr>/g)].map(
    ([, count, name]) => [name, Number(count)] as const,
  );
const names = (page: string) => rows(page).map(([name]) => name);

/** Sites that hold memory, bytes in use, sites ever; or why there are none. */
const side = (page: string, name: string) => {
  const [, cells = ''] = new RegExp(`<th scope="row">${name}</th>(.*)</tr>`).exec(page) ?? [];
  const texts = [...cells.matchAll(/<td[^>]*>([^<]*)<\/td>/g)].map(([, text = '']) => text);
  return texts.length === 1 ? texts[0] : texts.map((text) => Number.parseInt(text, 10));
};

/** The same of a profile whose frames are all there. */
function counted({ Samples }: CheckedProfile): number[] {
  const stack = (sample: CheckedProfile['Samples'][number]) => sample.Stack.map(({ ID }) => ID).join();
  const inUse = Samples.filter(({ Values }) => Number(Values[2]) > 0);
  const bytes = Samples.reduce((sum, { Values }) => sum + Number(Values[3]), 0);
  return [new Set(inUse.map(stack)).size, bytes, new Set(Samples.map(stack)).size];
}

it('both sides as google/pprof counts them, and every profile of the service', async () => {
  const service = await run();
  await service.obey('grow');
  const heap = new Uint8Array(await (await fetch(`${service.url}/debug/pprof/heap`)).arrayBuffer());
  const own = await (await fetch(`${service.url}/debug/pprof/`)).text();
  // It changes with every request that it answers: so it is stopped, and what it said is said for it.
  process.kill(service.pid, 'SIGSTOP');
  const upstream = await serveHttp(({ url }, response) => response.end(url === '/debug/pprof/heap' ? heap : own));
  onTestFinished(() => upstream.close());
  const serving = await ServingTool.start(shop, `api=${service.pid}`, '--go', upstream.url);
  const page = await indexOf(serving);

  const goFile = shop.write('go.pb.gz', heap);
  const cFile = shop.path('c.pb.gz');
  const words = ['heap', `${service.pid}`, '--go', 'none', '--show-plumbing', '-o', cFile];
  expect(await shop.run(words)).toMatchObject({ code: 0 });
  const [c, go] = [counted(check(cFile)), counted(check(goFile))];
  expect(c[1]).toBeGreaterThanOrEqual(2 * 101 * 1009);
  expect(go[1]).toBeGreaterThanOrEqual(103 * 1024);
  expect(go[2]).toBeGreaterThan(go[0] ?? 0);
  expect([side(page, 'C'), side(page, 'Go')]).toEqual([c, go]);

  const honest = new Map([
    ['heap', (c[0] ?? 0) + (go[0] ?? 0)],
    ['allocs', (c[2] ?? 0) + (go[2] ?? 0)],
  ]);
  expect(names(own)).toContain('goroutine');
  expect(rows(page)).toEqual(rows(own).map(([name = '', count]) => [name, honest.get(name) ?? count]));
  expect(page).toContain('<a href="goroutine?debug=2">full goroutine stack dump</a>');
  expect(page).toContain('C’s bytes are exact: every allocation is recorded.');
});

it('the links lead to what they say, below the name of a target too', async () => {
  const [one, two] = [await run(), await run()];
  const serving = await ServingTool.start(shop, `one=${one.pid}`, `two=${two.pid}`, '--go', `two=${two.url}`);
  const first = await indexOf(serving);
  expect(names(first)).toEqual(['allocs', 'cmdline', 'heap', 'symbol']);
  expect(side(first, 'Go')).toBe('missing: no service was named with --go');
  expect(first).toContain('<a href="/p/two/debug/pprof/">two</a>');
  const second = await indexOf(serving, '/p/two/debug/pprof/');
  expect(second).toContain('<a href="/p/one/debug/pprof/">one</a>');
  const quick = names(second).filter((name) => name !== 'profile' && name !== 'trace');
  expect(quick).toEqual(expect.arrayContaining(['goroutine', 'heap', 'cmdline', 'symbol']));
  for (const [, href] of second.matchAll(/<tr><td>\d+<\/td><td><a href='([^']*)'>(?!profile|trace)/g)) {
    const { status } = await fetch(new URL(`${href}`, `${serving.url}/p/two/debug/pprof/`));
    expect([href, status]).toEqual([href, 200]);
  }
  for (const path of ['/', '/metrics']) expect((await serving.get(path)).status).toBe(200);
});

it('the C side is there while the service does not answer, and the page says why the rest is not', async () => {
  const service = await run();
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', `http://127.0.0.1:${await freePort()}`);
  const page = await indexOf(serving);
  expect(names(page)).toEqual(['allocs', 'cmdline', 'heap', 'symbol']);
  expect(side(page, 'C')).toEqual([expect.any(Number), expect.any(Number), expect.any(Number)]);
  expect(side(page, 'Go')).toMatch(/^missing: .*connection refused/);
  expect(page).toContain('The service’s own profiles are not listed: ');
  expect(page).toMatch(/<td>\d+ \(C alone\)<\/td><td><a href='heap\?debug=1'>/);
});

it('of a process that has ended the page shows what its segment holds, and says so', async () => {
  const service = await run();
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
  const before = await indexOf(serving);
  expect(before).not.toContain('has ended');
  process.kill(service.pid, 'SIGKILL');
  await service.finished;
  const page = await indexOf(serving);
  expect(page).toMatch(new RegExp(`<p class="note">pid ${service.pid} has ended`));
  const [sites, bytes] = side(page, 'C') as number[];
  expect(sites).toBeGreaterThan(0);
  expect(bytes).toBeGreaterThanOrEqual(101 * 1009);
  expect(side(page, 'Go')).toHaveLength(3); // as it was when it was last asked
  expect(page).toMatch(/Go’s are those of the last profile that was fetched, at 20\S+Z\./);
  expect(page).not.toMatch(/\bgc\b/);
  expect(page.match(/has ended/g)).toHaveLength(1);
});

it('a service that lists what it should not adds nothing to the page but text', async () => {
  const service = await run();
  const name = '&lt;script&gt;alert(1)&lt;/script&gt;';
  const hostile = [name, '//elsewhere.example/x', '../../secret', '<script>alert(2)</script>', 'fine'].map(
    (text) => `<tr><td>1</td><td><a href='javascript:alert(3)'>${text}</a></td></tr>`,
  );
  const upstream = await serveHttp((_, response) => response.end(`${hostile.join('\n')}${'<tr><td>'.repeat(9999)}`));
  onTestFinished(() => upstream.close());
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', upstream.url);
  const page = await indexOf(serving);
  expect(names(page)).toEqual(expect.arrayContaining(['fine', 'heap']));
  expect(page).not.toMatch(/javascript:|href=['"]\/\/|secret/);
  expect(side(page, 'Go')).toMatch(/^missing: /);
});
