// Promise: in exact mode nothing is lost or counted twice, however many goroutines and C threads allocate at once, while
// goroutine stacks move and profiling signals come; and every stack is whole.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { type PprofSample, rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { linesOf, samplesAt, sitesOf, total, truth } from '../support/sites.js';

const SITES = sitesOf('threads');
const IN_C_THREADS = /^(__)?clone3?$/;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

/** The program's own functions, each only once where it calls itself: without cgo's halves of calls. */
function ownFunctions(sample: PprofSample): string[] {
  const names = linesOf(sample).map(({ name }) => name.replace(/\.func\d+$/, ''));
  return names.filter((name, i) => !/\._Cfunc_|^goKeep$/.test(name) && name !== names[i - 1]);
}

it('goroutines and C threads at once, to the byte, from the line to the root', async () => {
  const output = shop.path('merged.pb.gz');
  const program = await buildTargetAside('threads');
  const service = await Service.run(shop, ['--rate', '1', '-o', output], [program]);
  const rows = await shop.ps();
  expect(rows.find(({ pid }) => pid === service.pid)?.losses).toEqual({});
  const { code, stderr } = await service.end('');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^cgoprof: wrote .*\n$/)]);

  const samples = rawSamples(output);
  expect(SITES.map((site) => total(samplesAt(samples, site)))).toEqual(SITES.map(truth));
  for (const site of SITES) {
    for (const sample of samplesAt(samples, site)) {
      const names = ownFunctions(sample);
      if (IN_C_THREADS.test(names.at(-1) ?? '')) expect(names).toContain('thread_main');
      else if (site.callers.length > 0) expect(names).toEqual([site.function, ...site.callers]);
      else expect(names.slice(-2)).toEqual(['main.descend', 'main.worker']);
    }
  }
});
