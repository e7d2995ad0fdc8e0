// Promise: a Go side that is not the C side's process is said to be none wherever it is shown; and while the service does
// not answer, the C side is there by itself.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compilePlugin } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { check, rawSamples } from '../support/go-pprof.js';
import { freePort } from '../support/http-server.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

let shop: Workshop;
let program: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('service');
});
afterAll(() => shop.remove());

const HEAP = '/debug/pprof/heap';
const HELD = siteOf('service', 'held');
const GO = siteOf('service', 'go');
const run = (...words: string[]) => Service.run(shop, ['--rate', '1'], [program, ...words]);

const startStranger = async () => Service.start(shop, [await buildTargetAside('attach-service'), compilePlugin(shop)]);

/** The pages on which it is to be said, each by itself: the first that asks must say it too. */
const PAGES = [`${HEAP}?debug=1`, '/debug/pprof/', '/live.json'];

it.each(['replica', 'other program'])('a service that is a %s', async (kind) => {
  const own = await run('-replica=1');
  const other = kind === 'replica' ? await run('-replica=2') : await startStranger();
  const note = kind === 'replica' ? 'may be of another process than the C side' : 'is of another program or build';
  const said = (text: string) => text.split(`the Go profile ${note}`).length > 1;
  const words = [`${own.pid}`, '--go', other.url];
  for (const path of PAGES) {
    const serving = await ServingTool.start(shop, ...words);
    expect([path, said((await serving.get(path)).text)]).toEqual([path, true]);
  }
  const serving = await ServingTool.start(shop, ...words);
  for (const path of [HEAP, `${HEAP}?seconds=1`, '/debug/pprof/allocs']) {
    const { Comments } = check(await serving.fetchTo(path, shop.path('other.pb.gz')));
    expect([path, Comments.filter(said).length]).toEqual([path, 1]);
  }
  expect(serving.stderr.split(`the Go profile ${note}`)).toHaveLength(2);

  const right = await ServingTool.start(shop, `${own.pid}`, '--go', own.url);
  for (const path of PAGES) expect((await right.get(path)).text).not.toContain('the Go profile');
});

it('a service that refuses: the answer names the way to the C side, which is there', async () => {
  const service = await run();
  const serving = await ServingTool.start(shop, `${service.pid}`, '--go', `http://127.0.0.1:${await freePort()}`);
  for (const query of ['', '?debug=1', '?seconds=1']) {
    expect(await serving.get(`${HEAP}${query}`)).toEqual({
      status: 502,
      text: expect.stringMatching(/connection refused\n {2}.* The C side alone is at \?go=none\.\n$/),
    });
  }
  const { text } = await serving.get(`${HEAP}?debug=1&go=none`);
  expect(text).toContain('# cgoprof: the C side alone, as go=none asks for');

  const right = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
  for (const path of [HEAP, '/debug/pprof/allocs']) {
    const file = await right.fetchTo(`${path}?go=none`, shop.path('c.pb.gz'));
    expect(total(samplesAt(rawSamples(file), HELD))).toEqual(allInUse(HELD));
    expect(samplesAt(rawSamples(file), GO)).toEqual([]);
    expect(check(file).Comments).toContainEqual(expect.stringMatching('^cgoprof: the C side alone'));
  }
  const changes = await right.fetchTo(`${HEAP}?seconds=1&go=none`, shop.path('changes.pb.gz'));
  expect(check(changes).Comments).toContainEqual(expect.stringMatching('^cgoprof: the C side alone'));
});
