// Promise: the live page tells of the lines that hold C memory how much it is, its share, its change and how far it can be
// trusted, in the order that one likes; says what was lost; and gives commands that a shell takes as they are meant.
import { execFileSync } from 'node:child_process';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { CHROMIUM } from '../support/served-page.js';
import { linesOf, siteOf, toldPages } from '../support/told-page.js';

const KIB = 1024;
const MINUTE = 60_000;
const NO_LINES = { bytes: 0, beforeAttach: null, sites: [], siteCount: 0, notes: [] };

describe.skipIf(CHROMIUM === undefined)('the lines and commands of the live page (needs Chromium)', () => {
  const { open, emptyFolder } = toldPages();

  /** Name, amount, share and change of each row. */
  const rowsOf = (page: Page): Promise<string[][]> =>
    page
      .locator('#site-rows tr')
      .evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('.function, td')].map((e) => e.innerText)));

  const namesOf = async (page: Page): Promise<(string | undefined)[]> => (await rowsOf(page)).map(([name]) => name);

  const since = (page: Page) => page.getByLabel('Change');
  const order = (page: Page) => page.getByLabel('Order');

  it('tells the share of each, and draws it as a bar', async () => {
    const { page } = await open(linesOf(siteOf('a', 6 * KIB), siteOf('b', 2 * KIB)));
    expect(await rowsOf(page)).toEqual([
      ['a', '6 KiB', '75 %', '±0'],
      ['b', '2 KiB', '25 %', '±0'],
    ]);
    const bars = await page.locator('.bar').evaluateAll((all) => all.map((bar) => bar.style.width));
    expect(bars).toEqual(['75%', '25%']);
    expect(await page.locator('#more-sites').innerText()).toBe('');
  });

  it('puts those first that hold most, or that grew most', async () => {
    const told = await open(linesOf(siteOf('a', 6 * KIB), siteOf('b', 4 * KIB), siteOf('c', 2 * KIB)));
    const { page } = told;
    await told.tell(linesOf(siteOf('b', 6 * KIB), siteOf('a', 5 * KIB), siteOf('c', 5 * KIB)));
    expect(await namesOf(page)).toEqual(['b', 'a', 'c']);
    await order(page).selectOption('most grown');
    expect((await rowsOf(page)).map(([name, , , change]) => [name, change])).toEqual([
      ['c', '+3 KiB'],
      ['b', '+2 KiB'],
      ['a', '−1 KiB'],
    ]);
    const classes = await page.locator('#site-rows td:last-child').evaluateAll((all) => all.map((e) => e.className));
    expect(classes).toEqual(['grew', 'grew', 'shrank']);
    await order(page).selectOption('most in use');
    expect(await namesOf(page)).toEqual(['b', 'a', 'c']);
  });

  it('tells the change since the page was opened, in an hour, or in five minutes', async () => {
    const told = await open(linesOf(siteOf('a', 1 * KIB)));
    const { page } = told;
    for (const [minutes, kib] of [
      [10, 5],
      [52, 7],
      [3, 9],
    ] as const) {
      await told.tell(linesOf(siteOf('a', kib * KIB)), minutes * MINUTE);
    }
    for (const [choice, head, change] of [
      ['since this page was opened', 'Change in 1.1 h', '+8 KiB'],
      ['in the last hour', 'Change in 55 min', '+4 KiB'],
      ['in the last 5 minutes', 'Change in 3 min', '+2 KiB'],
    ] as const) {
      await since(page).selectOption(choice);
      expect(await page.locator('#change-head').innerText()).toBe(head);
      expect(await rowsOf(page)).toEqual([['a', '9 KiB', '100 %', change]]);
    }
  });

  it('tells where the truth lies of what is sampled, and of nothing else', async () => {
    const sampled = { ...siteOf('sampled', 6 * KIB), low: 4 * KIB, high: 8 * KIB };
    const { page } = await open(linesOf(sampled, siteOf('exact', 2 * KIB)));
    expect(await page.locator('#site-rows .interval').allInnerTexts()).toEqual(['4–8 KiB']);
    expect(await page.locator('#site-rows tr').filter({ hasText: 'sampled' }).locator('.interval').count()).toBe(1);
  });

  it.each([
    [0, 'No memory of C is in use, as far as it was recorded.'],
    [25, ''],
    [26, '1 more line holds 1 KiB; the profile has them all.'],
    [103, '78 more lines hold 78 KiB; the profile has them all.'],
  ])('of %d lines shows 25 at most, and how much the others hold', async (count, more) => {
    const sites = Array.from({ length: Math.min(count, 100) }, (_, i) => siteOf(`f${i}`, KIB));
    const { page } = await open({ c: { ...NO_LINES, bytes: count * KIB, sites, siteCount: count } });
    expect(await namesOf(page)).toEqual(sites.slice(0, 25).map(({ function: name }) => name));
    expect(await page.locator('#more-sites').innerText()).toBe(more);
  });

  it('shows none when they are not known any more', async () => {
    const told = await open(linesOf(siteOf('a', KIB)));
    const nothing = { problem: 'app: no process.', identity: '', process: null, c: null, rss: null };
    await told.tell(nothing);
    expect(await rowsOf(told.page)).toEqual([]);
    expect(await told.page.locator('#more-sites').innerText()).toBe('Which lines hold C memory is not known.');
  });

  it('says what was lost or is not recorded, while it is so', async () => {
    const notes = ['blocks whose free was not seen: 3', 'allocations without a place: 5'];
    const told = await open({ c: { ...NO_LINES, notes } });
    const lost = told.page.getByRole('region', { name: 'Lost or not recorded' });
    expect(await lost.getByRole('listitem').allInnerTexts()).toEqual(notes);
    await told.tell({ c: NO_LINES });
    expect(await lost.count()).toBe(0);
  });

  it('copies commands as they stand there', async () => {
    const permissions = ['clipboard-read', 'clipboard-write'];
    const { page } = await open({}, { permissions });
    const commands = await page.locator('.command code').allInnerTexts();
    expect(commands).toHaveLength(4);
    for (const command of commands) {
      await page.getByRole('button', { name: `Copy: ${command}`, exact: true }).click();
      await page.locator('#copied').filter({ hasText: 'Copied' }).waitFor();
      expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(command);
      await page.clock.fastForward(2_000);
      expect(await page.locator('#copied').innerText()).toBe('');
    }
  });

  it('selects a command where there is no clipboard', async () => {
    const { page } = await open();
    await page.evaluate(`Object.defineProperty(navigator, 'clipboard', { value: undefined })`);
    const [command] = await page.locator('.command code').allInnerTexts();
    await page.getByRole('button', { name: `Copy: ${command}`, exact: true }).click();
    await page.locator('#copied').filter({ hasText: 'Selected' }).waitFor();
    expect(await page.evaluate<string>('getSelection().toString()')).toBe(command);
  });

  it.each(['app', "it's", '$(echo x);&', '*~!'])(
    'has commands that a shell takes as they are meant: %s',
    async (name) => {
      const path = `p/${encodeURIComponent(name)}/debug/pprof/`;
      const { page } = await open({ pprof: path });
      const heap = new URL(`${path}heap`, page.url()).href;
      const words = (await page.locator('.command code').allInnerTexts()).map((command) => {
        const taken = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], { cwd: emptyFolder(), encoding: 'utf8' });
        return taken.trimEnd().split('\n');
      });
      expect(words).toEqual([
        ['go', 'tool', 'pprof', heap],
        ['go', 'tool', 'pprof', '-http=:', heap],
        ['curl', '-sSo', 'base.pb.gz', heap],
        ['go', 'tool', 'pprof', '-base', 'base.pb.gz', heap],
      ]);
    },
  );
});
