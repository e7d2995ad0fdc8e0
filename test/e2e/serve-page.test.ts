// Promise: the page of `cgoprof serve` shows what C and Go hold now and held in the last hour, by itself and whatever
// becomes of the process, to everybody: on a phone, in the dark, by keyboard, by ear; and whatever a program calls its
// functions.
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { formatBytes } from '../../src/present/units.js';
import { Workshop } from '../support/cgoprof.js';
import { rawSamples } from '../support/go-pprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { CHROMIUM, launchBrowser, openPage } from '../support/served-page.js';
import { ServingTool } from '../support/served-tool.js';
import { Service } from '../support/service.js';
import { allInUse, samplesAt, siteOf, total } from '../support/sites.js';

const HELD = siteOf('service', 'held');

const PHONE = { width: 360, height: 740 };

let shop: Workshop;
let program: string;
let browser: Browser;

describe.skipIf(CHROMIUM === undefined)('the live page (needs Chromium)', () => {
  beforeAll(async () => {
    program = await buildTargetAside('service');
    shop = new Workshop();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    shop?.remove();
  });
  beforeEach(() => shop.removeSegments());

  const startService = (): Promise<Service> => Service.run(shop, ['--rate', '1'], [program]);

  /** The row of a function, once there is one. */
  const rowOf = (page: Page, name: string) => page.locator('#site-rows tr').filter({ hasText: name });

  const figureOf = (page: Page, name: string) => page.getByRole('button', { name }).locator('.value').innerText();

  const cellsOf = async (page: Page, name: string): Promise<string[]> => {
    await rowOf(page, name).waitFor();
    return rowOf(page, name).locator('th, td').allInnerTexts();
  };

  it('shows what C, Go and the process hold, and what changes, as it changes', async () => {
    const service = await startService();
    const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    const { page, complaints } = await openPage(browser, url);

    await rowOf(page, 'hold').waitFor();
    const [head, bytes, , change] = await cellsOf(page, 'hold');
    expect(head).toMatch(new RegExp(`^hold\\s+service/memory.c:${HELD.line}\\s*$`));
    expect([bytes, change]).toEqual([formatBytes(HELD.bytes), '±0']);
    expect(await page.locator('#status').innerText()).toBe('Recording.');
    for (const label of ['C in use', 'Go in use', 'RSS']) {
      expect(await page.getByRole('button', { name: label }).innerText()).toMatch(/\d (B|KiB|MiB)/);
    }
    expect(await page.locator('#chart canvas').count()).toBe(1);
    expect(await page.locator('#rate-note').innerText()).toBe('Every allocation in C is recorded.');

    await page.locator('#chart .u-over').hover();
    await page.getByText(/^At \d\d:\d\d:\d\d$/).waitFor();
    await service.obey('grow');
    await rowOf(page, 'hold')
      .filter({ hasText: `+${formatBytes(HELD.bytes)}` })
      .waitFor();
    expect((await cellsOf(page, 'hold'))[1]).toBe(formatBytes(2 * HELD.bytes));
    expect(await page.locator('#when').innerText()).toMatch(/^At /);
    await page.mouse.move(0, 0);
    await page.getByText(/^Now$/).waitFor();
    expect(await page.getByRole('button', { name: 'C in use' }).innerText()).toMatch(/\+[\d.]+ KiB in \d+ s/);
    expect(complaints).toEqual([]);
  });

  it('leads to the profiles, which are there', async () => {
    const service = await startService();
    const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    const { page } = await openPage(browser, url);

    await page.getByText(`go tool pprof ${url}/debug/pprof/heap`, { exact: true }).waitFor();
    await page.getByText(`go tool pprof -base base.pb.gz ${url}/debug/pprof/heap`, { exact: true }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download the heap profile' }).click(),
    ]);
    const file = shop.path('downloaded.pb.gz');
    await download.saveAs(file);
    expect(total(samplesAt(rawSamples(file), HELD))).toEqual(allInUse(HELD));
  });

  it('says that the process has ended, and shows what it held last', async () => {
    const service = await startService();
    const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    const { page, complaints } = await openPage(browser, url);
    await rowOf(page, 'hold').waitFor();
    service.tell('abort');

    await page.getByRole('status').filter({ hasText: 'has ended' }).waitFor();
    expect((await cellsOf(page, 'hold'))[1]).toBe(formatBytes(HELD.bytes));
    expect(await figureOf(page, 'RSS')).toBe('–');
    expect(await figureOf(page, 'Go in use')).toMatch(/\d (B|KiB|MiB)$/);
    expect(await page.locator('#when').innerText()).toBe('What is known last');
    await page.getByText(/^Go in use is as of the last profile .* lived, at \d\d:\d\d:\d\d\.$/).waitFor();
    expect(complaints).toEqual([]);
  });

  it('says that the process is a new one, whose numbers are its own', async () => {
    const name = `page-${process.pid}`;
    const named = shop.path(name);
    copyFileSync(program, named);
    const { stdout } = await shop.run(['env', '--rate', '1']);
    const start = () => Service.start(shop, ['env', ...stdout.trim().split('\n'), named]);
    const first = await start();
    await first.obey('grow');
    const { url } = await ServingTool.start(shop, name, '--go', first.url);
    const { page } = await openPage(browser, url);
    await page.getByText('Now', { exact: true }).waitFor();
    expect(await figureOf(page, 'Go in use')).toMatch(/\d (B|KiB|MiB)$/);

    process.kill(first.pid, 'SIGKILL');
    await first.finished;
    await start(); // Its service listens elsewhere: nobody answers where it is asked.
    await page.getByText(/^Now, new process \d+ s ago$/).waitFor();
    await page.getByText(/^Go: .* refused/i).waitFor();
    expect(await figureOf(page, 'Go in use')).toBe('–');
    expect((await cellsOf(page, 'hold'))[1]).toBe(formatBytes(HELD.bytes));
    expect(await page.getByRole('button', { name: 'C in use' }).innerText()).not.toContain('−');
  });

  it('names the lines that call C.CString and C.malloc, and what they call', async () => {
    await Service.run(shop, ['--rate', '1'], [await buildTargetAside('accuracy')]);
    const [running] = await shop.running();
    const { url } = await ServingTool.start(shop, `${running?.pid}`);
    const { page } = await openPage(browser, url);

    for (const [name, call] of [
      ['cstring', 'C.CString'],
      ['cmalloc', 'C.malloc'],
    ] as const) {
      const site = siteOf('accuracy', name);
      const place = new RegExp(`^main\\.[\\w.]+\\s+calls ${call}\\s+accuracy/main.go:${site.line}\\s*$`);
      const [head, bytes] = await cellsOf(page, `calls ${call}`);
      expect(head).toMatch(place);
      expect(bytes).toBe(formatBytes(site.bytes));
    }
    expect(await page.getByText('_cgo_gotypes.go').count()).toBe(0);
  });

  it('says that there is no such target, and leads to those that there are', async () => {
    const service = await startService();
    const { url } = await ServingTool.start(shop, `one=${service.pid}`);
    const { page } = await openPage(browser, `${url}/?target=nosuch`);

    const status = page.getByRole('status').filter({ hasText: 'There is no target “nosuch”. Choose' });
    await status.waitFor();
    expect(await page.locator('#when').innerText()).toBe('');
    // They would be of another.
    expect(await page.getByRole('link', { name: 'Download the heap profile' }).count()).toBe(0);
    await page.getByRole('navigation', { name: 'Processes' }).getByRole('link', { name: 'one' }).click();
    await page.getByRole('status').filter({ hasText: 'Recording.' }).waitFor();
    expect(await page.getByRole('navigation', { name: 'Processes' }).count()).toBe(0);
  });

  /** Where it was before. */
  async function serveAgain(url: string, args: readonly string[]): Promise<void> {
    const again = new ServingTool(shop.start(['serve', ...args, '--listen', new URL(url).host]));
    onTestFinished(async () => {
      again.tool.destroy();
      await again.tool.finished;
    });
    await again.listening();
  }

  it('says that the server is gone, keeps what it knew, and goes on when it is back', async () => {
    const service = await startService();
    const args = [`${service.pid}`, '--go', service.url];
    const first = await ServingTool.start(shop, ...args);
    const { page } = await openPage(browser, first.url);
    await rowOf(page, 'hold').waitFor();
    first.tool.destroy();
    await first.tool.finished;

    await page.getByRole('status').filter({ hasText: 'does not answer' }).waitFor();
    expect(await page.locator('#when').innerText()).toMatch(/^As of \d\d:\d\d:\d\d$/);
    expect((await cellsOf(page, 'hold'))[1]).toBe(formatBytes(HELD.bytes));
    expect(await page.evaluate(FAINT_TEXTS)).toEqual([]);
    await serveAgain(first.url, args);
    await page.getByRole('status').filter({ hasText: 'Recording.' }).waitFor();
  });

  it('shows several processes by their names, one at a time', async () => {
    const [one, other] = [await startService(), await startService()];
    await other.obey('grow');
    const { url } = await ServingTool.start(shop, `one=${one.pid}`, `other=${other.pid}`);
    const { page, complaints } = await openPage(browser, url);

    const picker = page.getByRole('navigation', { name: 'Processes' });
    await picker.locator('[aria-current=page]').filter({ hasText: 'one' }).waitFor();
    await page.getByText('Go in use is not known').waitFor();
    await picker.getByRole('link', { name: 'other' }).click();
    await picker.locator('[aria-current=page]').filter({ hasText: 'other' }).waitFor();
    expect((await cellsOf(page, 'hold'))[1]).toBe(formatBytes(2 * HELD.bytes));
    await page.getByText(`go tool pprof ${url}/p/other/debug/pprof/heap`, { exact: true }).waitFor();

    // New numbers take the focus from nobody.
    const first = picker.getByRole('link', { name: 'one' });
    await first.focus();
    const updated = await page.locator('#updated').innerText();
    await page.locator('#updated').filter({ hasNotText: updated }).waitFor();
    expect(await page.evaluate<string>('document.activeElement.textContent')).toBe('one');
    expect(complaints).toEqual([]);
  });

  it('shows the name of a function as text, whatever it is', async () => {
    const name = '<img src=x onerror=document.title=1><b>';
    const evil = shop.compile('evil', EVIL, ['-g0']);
    execFileSync('objcopy', ['--redefine-sym', `hold_all=${name}`, evil]);
    const service = await Service.run(shop, ['--rate', '1', '--profile', 'evil'], [evil]);
    const { url } = await ServingTool.start(shop, `${service.pid}`);
    const { page, complaints } = await openPage(browser, url, { viewport: PHONE });

    expect((await cellsOf(page, name))[1]).toBe(formatBytes(13 * 997));
    expect(await page.locator('#sites img, #sites b').count()).toBe(0);
    expect(complaints).toEqual([]);
    expect(await overflow(page)).toBe(0);
  });

  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    it.each([['desktop', { width: 1000, height: 800 }] as const, ['phone', PHONE] as const])(
      'is all in view and can be read: %s',
      async (size, viewport) => {
        const service = await startService();
        const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
        const { page } = await openPage(browser, url, { viewport, colorScheme });
        await rowOf(page, 'hold').waitFor();
        await page.getByText('The last hour as a table').click();

        expect(await overflow(page)).toBe(0);
        expect(await page.evaluate(FAINT_TEXTS)).toEqual([]);
        const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
        expect(Number(/\d+/.exec(background)?.[0]) < 128).toBe(colorScheme === 'dark');
        if (process.env.CGOPROF_SCREENSHOTS) {
          await page.screenshot({
            path: `${process.env.CGOPROF_SCREENSHOTS}/${size}-${colorScheme}.png`,
            fullPage: true,
          });
        }
      },
    );
  });

  it('can be used by keyboard, and shows where one is', async () => {
    const service = await startService();
    const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    const { page } = await openPage(browser, url);
    await rowOf(page, 'hold').waitFor();

    const reached = await tabThrough(page);
    const [skip, ...others] = reached;
    expect(skip?.name).toBe('Skip to the content');
    expect(others.map(({ name }) => name)).toEqual(await page.evaluate<string[]>(`${NAMES_OF_CONTROLS}.slice(1)`));
    expect(reached.filter(({ outline }) => outline === 'none')).toEqual([]);

    const rss = page.getByRole('button', { name: 'RSS' });
    await rss.focus();
    await page.keyboard.press('Space');
    expect(await rss.getAttribute('aria-pressed')).toBe('false');
  });

  it('can be heard: landmarks, headings, a chart in words, a table of rows', async () => {
    const service = await startService();
    const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    const { page } = await openPage(browser, url, { viewport: PHONE });
    await rowOf(page, 'hold').waitFor();

    const heard = await page.locator('body').ariaSnapshot();
    for (const part of [
      /^- banner:/m,
      /^- main:/m,
      /heading "cgoprof service" \[level=1\]/,
      /heading "Memory" \[level=2\]/,
      /status: Recording\./,
      /img "Chart of memory over time\. C in use [\d.]+ KiB.*; Go in use [\d.]+ KiB.*; RSS [\d.]+ MiB.*\."/,
      /button "C in use [^"]*" \[pressed\]/,
      /table "Lines that hold C memory[^"]*":/,
      /columnheader "In use"/,
      new RegExp(`row "hold service/memory.c:${HELD.line} ${formatBytes(HELD.bytes)} `),
      /rowheader "hold /,
      /combobox "Change"/,
    ]) {
      expect(heard).toMatch(part);
    }
    // One place at most speaks by itself: numbers that come every few seconds do not.
    expect(await page.locator('[aria-live], [role=status], [role=alert]').count()).toBe(2);
    expect(await page.locator('[role=status]').allInnerTexts()).toEqual(['Recording.', '']);
  });
});

/** CSS pixels by which the page is wider than the window. */
function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
}

/** Tabs until it comes round. @returns what had the focus, and how that shows */
async function tabThrough(page: Page): Promise<{ name: string; outline: string }[]> {
  const reached: { name: string; outline: string }[] = [];
  for (;;) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate<{ name: string; outline: string }>(FOCUSED);
    if (at.name === '') return reached;
    reached.push(at);
  }
}

const NAME_OF = `(e) => (e.getAttribute('aria-label') || e.id || e.innerText).trim()`;
const FOCUSED = `(() => {
  const e = document.activeElement;
  return e === document.body ? { name: '', outline: '' } : { name: (${NAME_OF})(e), outline: getComputedStyle(e).outlineStyle };
})()`;
const NAMES_OF_CONTROLS = `[...document.querySelectorAll('a, button, select, summary, code')].filter((e) => e.checkVisibility()).map(${NAME_OF})`;

/** Texts with a contrast of less than 4.5 against what is behind them, by WCAG 2.1. */
const FAINT_TEXTS = `(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const opacity = (e) => (e ? getComputedStyle(e).opacity * opacity(e.parentElement) : 1);
  const contrast = (e) => {
    const [back, share] = [behind(e), opacity(e)];
    const text = parse(getComputedStyle(e).color).slice(0, 3).map((v, i) => v * share + back[i] * (1 - share));
    const [a, b] = [light(text), light(back)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '');
  return [...document.body.querySelectorAll('*')]
    .filter((e) => e.checkVisibility() && hasText(e) && contrast(e) < 4.5)
    .map((e) => e.innerText + ' ' + contrast(e).toFixed(2));
})()`;

const EVIL = `
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
void* kept[13];
__attribute__((noinline)) void hold_all(void) {
  for (int i = 0; i < 13; i++) kept[i] = malloc(997);
}
int main(void) {
  char text[64];
  hold_all();
  printf("pid %d\\nready\\n", getpid());
  fflush(stdout);
  while (read(0, text, sizeof text) > 0) continue;
}
`;
