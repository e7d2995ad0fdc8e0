// Promise: in exact mode every line of C says what books say that the program keeps about itself: over random operations
// of the whole malloc family on threads that free each other's blocks, to the block and to the byte, half-way and at the
// end. (`npm run oracle` does the same with a hundred times as many.)
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compareWithBooks } from '../../scripts/oracle.mjs';
import { Workshop } from '../support/cgoprof.js';
import { type PprofSample, rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { samplesAt, siteOf, total } from '../support/sites.js';

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

it('a million random operations, as the program counts them', async () => {
  const profiles: PprofSample[][] = [];
  const onHalt = async (pid: number) => {
    const file = shop.path(`${profiles.length}.pb.gz`);
    expect(await shop.run(['heap', `${pid}`, '--go', 'none', '-o', file])).toMatchObject({ code: 0 });
    profiles.push(rawSamples(file));
  };
  const env = { PATH: process.env.PATH, HOME: shop.root, CGOPROF_DIR: shop.segments };
  const halts = await compareWithBooks(await buildTargetAside('oracle'), 1e6, { tool: shop.tool, env, onHalt });

  expect(halts).toHaveLength(2);
  for (const [i, rows] of halts.entries()) {
    const books = rows.map((row) => [row.site, ...row.books]);
    expect(rows.map((row) => [row.site, ...row.reported])).toEqual(books);
    const inProfile = ({ site }: { site: string }) => total(samplesAt(profiles[i] ?? [], siteOf('oracle', site)));
    expect(rows.map((row) => [row.site, ...inProfile(row)])).toEqual(books);
  }
  // Something was at stake: blocks of most lines were in use at both halts, and most of all blocks were freed.
  for (const rows of halts) expect(rows.filter(({ books }) => (books[2] ?? 0) > 0).length).toBeGreaterThan(10);
});
