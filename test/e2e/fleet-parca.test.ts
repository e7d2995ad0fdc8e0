/**
 * The promise of docs/fleet.md: a continuous profiler that scrapes `cgoprof serve`, as it would scrape the service, has the
 * lines of C in its memory profiles, by name and to the byte. Shown with a real Parca server and the configuration of
 * examples/fleet; it is asked through its own API, and its answers are read by google/pprof.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { buildTarget } from '../../scripts/build-targets.mjs';
import { Workshop } from '../support/cgoprof.js';
import { top } from '../support/go-pprof.js';
import { PARCA, Parca } from '../support/parca.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { siteOf } from '../support/sites.js';

const CONFIG = fileURLToPath(new URL('../../examples/fleet/parca.yaml', import.meta.url));

const shop = new Workshop();
afterAll(() => shop.remove());

/** The example, with the addresses, files and seconds of this test for those of a fleet. */
function configFor(address: string, tokenFile: string): string {
  const replacements: [RegExp, string][] = [
    [/targets: \[.*\]/g, `targets: ['${address}']`],
    [/credentials_file: .*/g, `credentials_file: ${tokenFile}`],
    [/directory: .*/g, `directory: ${shop.path('parca')}`],
    [/scrape_interval: .*/g, 'scrape_interval: 1s'],
  ];
  const text = replacements.reduce(
    (before, [pattern, by]) => {
      expect(before).toMatch(pattern);
      return before.replace(pattern, by);
    },
    readFileSync(CONFIG, 'utf8'),
  );
  return shop.write('parca.yaml', text);
}

const inUse = (job: string): string => `memory:inuse_space:bytes:space:bytes{job="${job}"}`;

/** Bytes at a line of the service, by a profile that Parca answered with. */
function bytesAt(name: string, profile: Buffer): number | undefined {
  const { function: called, path, line } = siteOf('service', name);
  return top('-lines', shop.write('answer.pb.gz', profile)).get(`${called} ${path}:${line}`)?.[0];
}

const held = siteOf('service', 'held').bytes;
const heldByGo = siteOf('service', 'go').bytes;

const reason = existsSync(PARCA) ? '' : ': skipped, Parca is not built; npm run test:fleet builds it';

it.skipIf(reason !== '')(
  `Parca has the lines of C, of each service by its path, and what changed${reason}`,
  async () => {
    const executable = buildTarget('service');
    const first = await Service.run(shop, ['--rate', '1'], [executable]);
    const second = await Service.run(shop, ['--rate', '1'], [executable]);
    await second.obey('grow');

    const tokenFile = shop.write('token', 'of-twenty-two-letters', 0o600);
    const serving = await ServingTool.start(
      shop,
      `leaky-api=${first.pid}`,
      `worker=${second.pid}`,
      '--go',
      `leaky-api=${first.url}`,
      '--go',
      `worker=${second.url}`,
      '--token-file',
      tokenFile,
    );
    const parca = await Parca.start(shop, configFor(new URL(serving.url).host, tokenFile));

    const before = await parca.scrape(inUse('leaky-api'));
    const profile = await parca.profile(inUse('leaky-api'), before);
    expect(bytesAt('held', profile)).toBe(held);
    expect(bytesAt('go', profile)).toBe(heldByGo);

    const worker = await parca.scrape(inUse('worker'));
    expect(bytesAt('held', await parca.profile(inUse('worker'), worker))).toBe(2 * held);

    await first.obey('grow');
    const after = await parca.scrape(inUse('leaky-api'), Date.now());
    expect(bytesAt('held', await parca.profile(inUse('leaky-api'), after))).toBe(2 * held);
    expect(bytesAt('held', await parca.difference(inUse('leaky-api'), before, after))).toBe(held);

    // The service's own profiles come the same way.
    await parca.scrape('goroutine:goroutine:count:goroutine:count{job="leaky-api"}');
    expect(await parca.profileTypes()).toEqual(
      expect.arrayContaining(['memory:inuse_objects:count:space:bytes', 'memory:alloc_space:bytes:space:bytes']),
    );
  },
);
