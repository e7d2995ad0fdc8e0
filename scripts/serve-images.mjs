// The pictures of the page of `cgoprof serve` in docs/images: examples/leaky-api under load for some minutes, looked at in
// headless Chromium.
//
//     node scripts/serve-images.mjs [MINUTES]
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { findGo } from './lib/go.mjs';
import { findProgram, main, ROOT, run, StepError, say } from './lib/process.mjs';
import { setUp } from './setup.mjs';

const EXAMPLE = 'examples/leaky-api';
const SERVER = 'out/demo/leaky-api';
const IMAGES = join(ROOT, 'docs/images');
const CLI = join(ROOT, 'dist/cli.js');

/** Between requests, ms. */
const PAUSE_MS = 10;

/** Starts the tool. Resolves with what its output matches first. */
async function start(args, pattern, stream) {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  for await (const line of createInterface({ input: child[stream] })) {
    const found = line.match(pattern);
    if (found) return { child, found };
  }
  throw new StepError(`cgoprof ${args[0]} did not start`);
}

/** Drafts of some kilobytes, until the time is over. */
async function sendLoad(url, endsAt) {
  for (let number = 0; Date.now() < endsAt; number++) {
    const body = `# Draft ${number}\n\n${'Memory that grows, and nobody knows why. '.repeat(50 + (number % 50))}`;
    const response = await fetch(`${url}/preview`, { method: 'POST', body });
    await response.arrayBuffer();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function open(browser, url, options) {
  const page = await browser.newPage(options);
  await page.goto(url);
  return page;
}

/** Where this checkout lies is nothing for a picture. */
async function hideFolder(page) {
  const process = page.locator('#process');
  const text = await process.innerText();
  await process.evaluate(
    (element, shown) => element.replaceChildren(shown),
    text.replace(join(ROOT, 'out/demo'), '/srv'),
  );
}

async function takeImages(url, load) {
  const executablePath = findProgram(['chromium', 'chromium-browser', 'google-chrome']);
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath, args });
  try {
    const desktop = await open(browser, url, { viewport: { width: 900, height: 960 } });
    const phone = await open(browser, url, { viewport: { width: 360, height: 720 }, colorScheme: 'dark' });
    await load;
    for (const page of [desktop, phone]) await hideFolder(page);
    await desktop.screenshot({ path: join(IMAGES, 'serve-page.png') });
    await phone.screenshot({ path: join(IMAGES, 'serve-phone.png') });
  } finally {
    await browser.close();
  }
}

await main(async () => {
  setUp({ withTests: true });
  mkdirSync(join(ROOT, 'out/demo'), { recursive: true });
  run([findGo(), 'build', '-buildvcs=false', '-o', join(ROOT, SERVER), '.'], { cwd: join(ROOT, EXAMPLE) });
  mkdirSync(IMAGES, { recursive: true });
  const minutes = Number(process.argv[2] ?? 5);
  const running = await start(['run', '--', `./${SERVER}`], /pid (\d+) listening on (\S+)/, 'stdout');
  const [, pid, go] = running.found;
  try {
    const args = ['serve', pid, '--go', go, '--listen', '127.0.0.1:0'];
    const serving = await start(args, /listening on ([^;\s]+)/, 'stderr');
    say(`${minutes} minutes of load; meanwhile ${serving.found[1]}`);
    try {
      await takeImages(serving.found[1], sendLoad(go, Date.now() + minutes * 60_000));
    } finally {
      serving.child.kill('SIGTERM');
    }
  } finally {
    running.child.kill('SIGTERM');
  }
});
