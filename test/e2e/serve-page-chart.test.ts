// Promise: the chart of the live page shows the numbers that it was told, and no others: lines are as high as they are
// large, in the colours of light and dark, as wide as the window is, shown and hidden as one likes; and the table beside
// it has the same.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { SeriesName } from '../../src/ui/series.js';
import { CHROMIUM } from '../support/served-page.js';
import { AT, historyOf, type Past, toldPages } from '../support/told-page.js';

const STEADY: Past = { c: 64, go: 32, rss: 128 };

/** So often what a function says. */
const times = (count: number, make: (i: number) => Past): Past[] => Array.from({ length: count }, (_, i) => make(i));

describe.skipIf(CHROMIUM === undefined)('the chart of the live page (needs Chromium)', () => {
  const told = toldPages();
  const open = (past: readonly Past[], options = {}) => told.open({ history: historyOf(past) }, options);

  it('draws lines as high as their numbers are large, over the time when they were', async () => {
    const { page } = await open(times(360, (i) => (i < 180 ? { c: 16, go: 32, rss: 128 } : STEADY)));
    const [c, go, rss] = [await inkOf(page, 'c'), await inkOf(page, 'go'), await inkOf(page, 'rss')];

    const unit = rss.heightWithin(0.1, 0.4) / 128;
    expect(unit).toBeGreaterThan(1);
    for (const [ink, from, to, mib] of [
      [c, 0.1, 0.4, 16],
      [c, 0.6, 0.9, 64],
      [go, 0.1, 0.9, 32],
      [rss, 0.6, 0.9, 128],
    ] as const) {
      expect(Math.abs(ink.heightWithin(from, to) - mib * unit)).toBeLessThanOrEqual(1);
    }
  });

  it('tells lines apart by their strokes, without colour', async () => {
    const { page } = await open(times(360, () => STEADY));
    expect((await inkOf(page, 'c')).shareOfColumns(0.1, 0.9)).toBe(1);
    const [go, rss] = [await inkOf(page, 'go'), await inkOf(page, 'rss')];
    expect(Math.abs(go.shareOfColumns(0.1, 0.9) - 2 / 3)).toBeLessThan(0.15);
    expect(Math.abs(rss.shareOfColumns(0.1, 0.9) - 2 / 5)).toBeLessThan(0.15);
  });

  it('shows no more of the past than there is, and five minutes at least', async () => {
    const { page } = await open(times(7, () => STEADY));
    const { columns } = await inkOf(page, 'c');
    expect(Math.abs((columns[0] ?? 0) - 0.8)).toBeLessThan(0.02);
  });

  it('leaves a gap between two processes, which is seen within an hour too', async () => {
    const { page } = await open(times(360, (i) => ({ ...STEADY, of: i < 180 ? 0 : 1 })));
    const c = await inkOf(page, 'c');
    expect([c.shareOfColumns(0.1, 0.49), c.shareOfColumns(0.51, 0.9)]).toEqual([1, 1]);
    expect(Math.abs((1 - c.shareOfColumns(0.48, 0.52)) * 0.04 * c.width - 6)).toBeLessThan(1.5);
  });

  it('leaves a gap where nothing was known for minutes, and a dot of what is alone', async () => {
    const known = [20, 40, 41, 60, 61, 80, 81];
    const { page } = await open(times(91, (i) => ({ ...STEADY, go: known.includes(i) ? 32 : null })));
    const go = await inkOf(page, 'go');
    const around = (i: number): number => go.shareOfColumns((i - 0.2) / 90, (i + 0.2) / 90);
    expect(around(20)).toBe(1);
    expect(go.shareOfColumns(40 / 90, 41 / 90)).toBeGreaterThan(0.5);
    expect([go.shareOfColumns(21 / 90, 39 / 90), go.shareOfColumns(42 / 90, 59 / 90)]).toEqual([0, 0]);
  });

  it('hides a line and shows it again, with its name', async () => {
    const { page } = await open(times(360, () => STEADY));
    const before = await inkOf(page, 'go');
    const button = page.getByRole('button', { name: 'Go in use' });
    await button.click();
    expect((await inkOf(page, 'go')).columns).toEqual([]);
    expect((await inkOf(page, 'c')).columns).not.toEqual([]);
    await button.click();
    expect((await inkOf(page, 'go')).columns).toEqual(before.columns);
  });

  it('has all its height for the lines that are shown', async () => {
    const { page } = await open(times(360, () => STEADY));
    const before = (await inkOf(page, 'c')).heightWithin(0.1, 0.9);
    await page.getByRole('button', { name: 'RSS' }).click();
    // 64 MiB are the most now, where 128 were.
    expect(Math.abs((await inkOf(page, 'c')).heightWithin(0.1, 0.9) - 2 * before)).toBeLessThanOrEqual(1);
  });

  it('takes the colours of the dark when it gets dark, and hidden stays hidden', async () => {
    const { page } = await open(
      times(360, () => STEADY),
      { colorScheme: 'light' },
    );
    await page.getByRole('button', { name: 'RSS' }).click();
    const light = await colourOf(page, 'c');
    await page.emulateMedia({ colorScheme: 'dark' });
    await until(page, `(${INK})('--c').points.length > 0`);
    expect(await colourOf(page, 'c')).not.toEqual(light);
    expect((await inkOf(page, 'c')).shareOfColumns(0.1, 0.9)).toBe(1);
    expect((await inkOf(page, 'rss')).columns).toEqual([]);
  });

  it.each([1, 2])('is as wide as there is room, with %d pixels for one', async (deviceScaleFactor) => {
    const { page } = await open(
      times(360, () => STEADY),
      { deviceScaleFactor },
    );
    for (const width of [800, 360, 1000]) {
      await page.setViewportSize({ width, height: 800 });
      await until(page, `${WIDTH_LEFT} === 0`);
      expect(await page.evaluate<number>(PIXELS_FOR_ONE)).toBe(deviceScaleFactor);
    }
  });

  it('goes on with what comes, and shows what was under the pointer', async () => {
    const told = await open(times(360, () => STEADY));
    const { page } = told;
    const value = page.getByRole('button', { name: 'C in use' }).locator('.value');
    const past = times(360, (i) => (i < 180 ? { c: 16, go: 32, rss: 128 } : STEADY));
    const { at, ...rest } = historyOf(past);
    await told.tell({ history: { ...rest, at: at.map((ms) => ms + 10_000) } });
    const c = await inkOf(page, 'c');
    expect(c.heightWithin(0.6, 0.9) / c.heightWithin(0.1, 0.4)).toBeCloseTo(4, 1);
    expect(await value.innerText()).toBe('64 MiB');
    const box = await page.locator('#chart .u-over').boundingBox();
    await page.mouse.move((box?.x ?? 0) + (box?.width ?? 0) / 4, (box?.y ?? 0) + 20);
    await page.getByText(/^At \d\d:\d\d:\d\d$/).waitFor();
    expect(await value.innerText()).toBe('16 MiB');
  });

  it('has the last hour as a table: every five minutes, latest first, and which are of an earlier process', async () => {
    const past = times(91, (i) => ({ c: i, go: i < 45 ? 1 : null, rss: 100 + i, of: i < 45 ? 0 : 1 }));
    const { page } = await open(past);
    await page.getByText('The last hour as a table').click();
    const rows = await page
      .locator('#history-rows tr')
      .evaluateAll((all) => all.map((row) => row.innerText.split('\t')));
    const time = (minutes: number): string => new Date(AT - minutes * 60_000).toTimeString().slice(0, 5);
    expect(rows).toEqual([
      [time(0), '90 MiB', '–', '190 MiB'],
      [time(5), '60 MiB', '–', '160 MiB'],
      [`${time(10)}, an earlier process`, '30 MiB', '1 MiB', '130 MiB'],
      [`${time(15)}, an earlier process`, '0 B', '1 MiB', '100 MiB'],
    ]);
  });

  it('tells no change of what is not known any more', async () => {
    const { page } = await told.open({
      history: historyOf([{ c: 60, go: 30, rss: 100 }, STEADY]),
      ended: 'pid 1 has ended',
      rss: null,
    });
    const changeOf = (name: string) => page.getByRole('button', { name }).locator('.change').innerText();
    expect([await changeOf('C in use'), await changeOf('RSS')]).toEqual(['+4 MiB in 10 s', '']);
  });
});

/** Where a line's colour is in the chart. */
interface Ink {
  /** Of the chart within its axes, CSS pixels. */
  readonly width: number;
  /** Those that have it, as shares of the width, ascending: those of the line, and of its name at its end. */
  readonly columns: readonly number[];
  /** Of the columns between two shares of the width those that have it. */
  shareOfColumns(from: number, to: number): number;
  /** Its mean height above the lower edge between them, CSS pixels. */
  heightWithin(from: number, to: number): number;
}

/** What is drawn in a line's colour of now. */
async function inkOf(page: Page, name: SeriesName): Promise<Ink> {
  const { width, height, points } = await page.evaluate<{ width: number; height: number; points: [number, number][] }>(
    `(${INK})('--${name}')`,
  );
  const within = (from: number, to: number) => points.filter(([x]) => x >= from * width && x < to * width);
  const columnsOf = (some: readonly [number, number][]) => [...new Set(some.map(([x]) => x))].sort((a, b) => a - b);
  return {
    width,
    columns: columnsOf(points).map((x) => x / width),
    shareOfColumns: (from, to) =>
      columnsOf(within(from, to)).length / (Math.ceil(to * width) - Math.ceil(from * width)),
    heightWithin: (from, to) => {
      const ys = within(from, to).map(([, y]) => height - y - 0.5);
      return ys.reduce((sum, y) => sum + y, 0) / ys.length;
    },
  };
}

const colourOf = (page: Page, name: SeriesName): Promise<string> =>
  page.evaluate<string>(`getComputedStyle(document.documentElement).getPropertyValue('--${name}')`);

/** Resolves once that is so: the browser tells nobody when it has drawn. */
async function until(page: Page, condition: string): Promise<void> {
  while (!(await page.evaluate<boolean>(condition))) await page.evaluate('new Promise(requestAnimationFrame)');
}

/** Pixels of a colour within the axes, as [x, y] from their upper left corner. */
const INK = `(name) => {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const canvas = document.querySelector('#chart canvas');
  const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = document.querySelector('#chart .u-over');
  const { data } = canvas.getContext('2d').getImageData(left, top, width, height);
  const points = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      if (wanted.every((value, i) => Math.abs(data[at + i] - value) < 24) && data[at + 3] > 200) points.push([x, y]);
    }
  }
  return { width, height, points };
}`;

/** Of what the chart is in, CSS pixels. */
const WIDTH_LEFT = `(document.getElementById('chart').clientWidth - document.querySelector('#chart canvas').clientWidth)`;

/** Of the chart's own for one of CSS. */
const PIXELS_FOR_ONE = `(() => {
  const canvas = document.querySelector('#chart canvas');
  return canvas.width / canvas.clientWidth;
})()`;
