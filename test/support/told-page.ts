/**
 * The live page of the built tool, told numbers by a test: they are known exactly, and an hour of them is there at once.
 * Its clock is the test's too, so that nobody waits for the next ones.
 */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { INTERVAL_MS, LIVE_DATA, type LiveHistory, type LiveSite, type LiveState } from '../../src/serve/live-state.js';
import { formatClockSeconds } from '../../src/ui/words.js';
import { Workshop } from './cgoprof.js';
import { launchBrowser, openPage } from './served-page.js';
import { ServingTool } from './served-tool.js';

/** What the numbers are of, unless a test says otherwise: Unix time, ms. */
export const AT = new Date(2026, 10, 22, 12, 0, 0).getTime();

/** 64 MiB of C, 32 MiB of Go and 128 MiB in all, without a past. */
export const STATE: LiveState = {
  at: AT,
  targets: ['app'],
  target: 'app',
  pprof: 'debug/pprof/',
  problem: '',
  ended: '',
  identity: 'a',
  process: { pid: 1, state: 'running', started: new Date(AT).toISOString(), rate: 1, command: '', attached: null },
  c: { bytes: 64 << 20, beforeAttach: null, sites: [], siteCount: 0, notes: [] },
  go: { served: true, bytes: 32 << 20, takenAt: AT, problem: '', other: '' },
  rss: 128 << 20,
  history: { at: [], identities: [], of: [], c: [], go: [], rss: [] },
};

/** One reading of the past: MiB; null is unknown. */
export interface Past {
  readonly c: number | null;
  readonly go: number | null;
  readonly rss: number | null;
  /** What it is of, by number; the last one is the process of now. */
  readonly of?: number;
}

/** What was read every ten seconds, the last of it now. */
export function historyOf(readings: readonly Past[]): LiveHistory {
  const bytes = (name: 'c' | 'go' | 'rss') =>
    readings.map(({ [name]: mib }) => (mib === null ? null : mib * (1 << 20)));
  return {
    at: readings.map((_, i) => AT - (readings.length - 1 - i) * INTERVAL_MS),
    identities: ['earlier', 'a'],
    of: readings.map(({ of = 1 }) => of),
    c: bytes('c'),
    go: bytes('go'),
    rss: bytes('rss'),
  };
}

/** A line that holds so many bytes, known exactly. */
export function siteOf(name: string, bytes: number): LiveSite {
  return { function: name, file: '/srv/app/cache.c', line: 7, via: '', bytes, low: bytes, high: bytes };
}

/** What C holds in lines, all of which are told. */
export function linesOf(...sites: LiveSite[]): Pick<LiveState, 'c'> {
  const bytes = sites.reduce((sum, site) => sum + site.bytes, 0);
  return { c: { bytes, beforeAttach: null, sites, siteCount: sites.length, notes: [] } };
}

/** What the tests of a suite share, which calls it: a browser and a workshop, for as long as the suite lasts. */
export function toldPages() {
  let shop: Workshop;
  let browser: Browser;
  beforeAll(async () => {
    shop = new Workshop();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    shop?.remove();
  });
  return {
    open: (state?: Partial<LiveState>, options?: BrowserContextOptions) => ToldPage.open(shop, browser, state, options),
    /** Where the tool leaves nothing in these tests. */
    emptyFolder: () => shop.segments,
  };
}

export class ToldPage {
  private constructor(
    readonly page: Page,
    private readonly now: { state: LiveState },
  ) {}

  /** Opens the page of a server that waits for a process which nobody starts. Both end with the test. */
  static async open(
    shop: Workshop,
    browser: Browser,
    state: Partial<LiveState> = {},
    options: BrowserContextOptions = {},
  ): Promise<ToldPage> {
    const { url } = await ServingTool.start(shop, `nobody-${process.pid}`);
    const now = { state: { ...STATE, ...state } };
    const { page } = await openPage(browser, url, options, async (unloaded) => {
      await unloaded.clock.install({ time: AT });
      await unloaded.route(`**/${LIVE_DATA}*`, (route) => route.fulfill({ json: now.state }));
    });
    const told = new ToldPage(page, now);
    await told.#shown();
    return told;
  }

  /** Tells what is there some time later, at which the page is to ask. */
  async tell(state: Partial<LiveState>, laterMs: number = INTERVAL_MS): Promise<void> {
    this.now.state = { ...this.now.state, at: this.now.state.at + laterMs, ...state };
    await this.page.clock.fastForward(INTERVAL_MS);
    await this.#shown();
  }

  async #shown(): Promise<void> {
    await this.page.getByText(`Updated ${formatClockSeconds(this.now.state.at)}`, { exact: true }).waitFor();
  }
}
