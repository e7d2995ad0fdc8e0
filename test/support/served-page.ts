/**
 * A browser that looks at the page of `cgoprof serve`: headless Chromium, in which nothing may go wrong and which may ask
 * nobody else.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Where a browser is installed; undefined where there is none. */
export const CHROMIUM = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

export function launchBrowser(): Promise<Browser> {
  const executablePath = CHROMIUM ?? 'chromium';
  // Its sandbox is not for root.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

export interface OpenPage {
  readonly page: Page;
  /** What the page complained of, and whom else it asked: nothing and nobody, unless a test has the server end. */
  readonly complaints: readonly string[];
}

/**
 * Opens the page, until the test is over.
 *
 * @param prepare What is to be done with it before it is loaded.
 */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  prepare: (page: Page) => Promise<void> = async () => {},
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await prepare(page);
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) complaints.push(`asked ${request.url()}`);
  });
  const response = await page.goto(url);
  expect(response?.status()).toBe(200);
  return { page, complaints };
}
