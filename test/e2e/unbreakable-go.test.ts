// Promise: a Go service may do at once all that made profilers of cgo programs crash or miscount (see the storm target),
// and runs to its end with every block of C counted, none of Go's, and no stack cut short.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { linesOf, samplesAt, sitesOf, total, truth } from '../support/sites.js';

const SITES = sitesOf('storm');
const MIB = 2 ** 20;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

it('a growing Go heap, moving stacks, callbacks and child processes at once', async () => {
  const output = shop.path('merged.pb.gz');
  const service = await Service.run(shop, ['--rate', '1', '-o', output], [await buildTargetAside('storm')]);
  const [, goBytes] = await service.line(/^go bytes (\d+)$/m);
  const rows = await shop.ps();
  expect(rows.find(({ pid }) => pid === service.pid)?.losses).toEqual({});
  const { code, signal, stderr } = await service.end('');
  expect([code, signal, stderr]).toEqual([0, null, expect.stringMatching(/^cgoprof: wrote .*\n$/)]);

  const samples = rawSamples(output);
  expect(SITES.map((site) => total(samplesAt(samples, site)))).toEqual(SITES.map(truth));
  for (const site of SITES) {
    for (const sample of samplesAt(samples, site)) {
      const names = linesOf(sample).map(({ name }) => name.replace(/\.func\d+$/, ''));
      const own = names.filter((name, i) => !/\._Cfunc_|^goDown$/.test(name) && name !== names[i - 1]);
      const from = own.indexOf(site.function);
      expect(own.slice(from, from + 1 + site.callers.length)).toEqual([site.function, ...site.callers]);
    }
  }
  // Beside those there is what libc keeps for threads; the Go heap, which cgo maps through libc, is not there.
  const atSites = new Set(SITES.flatMap((site) => samplesAt(samples, site)));
  const [, others = 0] = total(samples.filter((sample) => !atSites.has(sample)));
  expect(Number(goBytes)).toBeGreaterThan(1000 * MIB);
  expect(others).toBeLessThan(4 * MIB);
});
