// Promise: `go tool pprof -http` on the URL shows the lines of C in its own pages, in a browser.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { findGo } from '../../scripts/lib/go.mjs';
import { Workshop } from '../support/cgoprof.js';
import { freePort } from '../support/http-server.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { CHROMIUM, launchBrowser } from '../support/served-page.js';
import { ServingTool } from '../support/served-tool.js';
import { Service, until } from '../support/service.js';
import { siteOf } from '../support/sites.js';

const HELD = siteOf('service', 'held');

let shop: Workshop;
let program: string;
let browser: Browser;

/** Starts `go tool pprof -http` on a profile. @returns its address, once it serves; it ends with the test */
async function startWebUi(profile: string): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`;
  const words = ['tool', 'pprof', '-no_browser', `-http=${address}`, profile];
  const env = { ...process.env, PPROF_TMPDIR: shop.path('pprof') };
  const tool = spawn(findGo(), words, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(tool, 'exit');
  onTestFinished(async () => {
    // `go tool` runs pprof itself in its place or as its child: both have the pipe.
    tool.kill('SIGINT');
    await ended;
  });
  let said = '';
  tool.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await until(() => said.includes('Serving web UI on') || tool.exitCode !== null);
  expect(said).toContain(`Serving web UI on http://${address}`);
  return `http://${address}`;
}

describe.skipIf(CHROMIUM === undefined)('the web UI of pprof (needs Chromium)', () => {
  beforeAll(async () => {
    program = await buildTargetAside('service');
    shop = new Workshop();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    shop?.remove();
  });

  it.each(['', '?debug=1'])('has C and Go functions, of /debug/pprof/heap%s', async (query) => {
    const service = await Service.run(shop, ['--rate', '1'], [program]);
    const { url } = await ServingTool.start(shop, `${service.pid}`, '--go', service.url);
    const ui = await startWebUi(`${url}/debug/pprof/heap${query}`);
    const page = await browser.newPage();
    onTestFinished(() => page.close());

    await page.goto(`${ui}/ui/top?si=inuse_space`);
    const row = page.locator('#toptable tbody tr').filter({ has: page.getByText('hold', { exact: true }) });
    await row.waitFor();
    expect((await row.locator('td').allInnerTexts()).slice(0, 3)).toContain(inKilobytes(HELD.bytes));
    await page.goto(`${ui}/ui/flamegraph?si=inuse_space`);
    const boxes = page.locator('#stack-chart .boxtext');
    await boxes
      .filter({ hasText: /^hold$/ })
      .first()
      .waitFor();
    expect(await boxes.allInnerTexts()).toContain('main.holdC');
    if (query !== '') return; // Text has no lines.
    await page.goto(`${ui}/ui/source?f=%5Ehold%24&si=inuse_space`);
    expect(await page.locator('body').innerText()).toContain(`${HELD.line}`);
    expect(await page.locator('body').innerText()).toMatch(/malloc/);
  });
});

/** As pprof writes sizes. */
function inKilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(2)}kB`;
}
