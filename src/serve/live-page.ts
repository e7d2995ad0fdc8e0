/**
 * The live page and what belongs to it, from a fixed table of files: nothing in a request leads to another one.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Exchange } from './exchange.js';

interface Asset {
  readonly type: string;
  /** Absolute path. */
  readonly file: string;
}

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const SVG = 'image/svg+xml';

/** Below dist/, where the scripts lie as they import each other. */
const SCRIPTS = [
  'ui/chart.js',
  'ui/commands.js',
  'ui/elements.js',
  'ui/figures.js',
  'ui/notes.js',
  'ui/page.js',
  'ui/series.js',
  'ui/site-history.js',
  'ui/site-table.js',
  'ui/words.js',
  'serve/live-state.js',
  'present/units.js',
];

const built = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const ofPackage = (path: string): string => createRequire(import.meta.url).resolve(path);

const asset = (type: string, file: string): Asset => ({ type, file });

/** Path → file. Found when they are asked for: a tool without them can do all the rest. */
const ASSETS: ReadonlyMap<string, () => Asset> = new Map([
  ['/', () => asset(HTML, built('ui/page.html'))],
  ['/live/page.css', () => asset(CSS, built('ui/page.css'))],
  ['/live/icon.svg', () => asset(SVG, built('ui/icon.svg'))],
  ['/live/uplot.css', () => asset(CSS, ofPackage('uplot/dist/uPlot.min.css'))],
  ['/live/uplot.js', () => asset(SCRIPT, ofPackage('uplot/dist/uPlot.iife.min.js'))],
  ...SCRIPTS.map((path) => [`/live/${path}`, () => asset(SCRIPT, built(path))] as const),
]);

export const LIVE_PATHS: readonly string[] = [...ASSETS.keys()];

/** Answers one of {@link LIVE_PATHS}. */
export async function answerLivePage(exchange: Exchange): Promise<void> {
  const found = ASSETS.get(exchange.path);
  if (found === undefined) throw new Error(`${exchange.path} is not of the live page`);
  const { type, file } = found();
  exchange.send({ 'Content-Type': type }, await readFile(file));
}
