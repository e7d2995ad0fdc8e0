/** The live page: asks the server for numbers, again and again, and shows what comes; or says that nothing does. */

import { formatTime } from '../present/units.js';
import { INTERVAL_MS, LIVE_DATA, type LiveProcess, type LiveState, type NoSuchTarget } from '../serve/live-state.js';
import { Chart } from './chart.js';
import { showCommands } from './commands.js';
import { byId, element, setText } from './elements.js';
import { Figures } from './figures.js';
import { attachNote, goNote, rateNote } from './notes.js';
import { pointsOf } from './series.js';
import { SiteTable } from './site-table.js';
import { formatClockSeconds } from './words.js';

/** Between attempts while nobody answers. */
const RETRY_MS = 3_000;

/** A server that is there answers sooner, whatever its target does. */
const PATIENCE_MS = 30_000;

const figures = new Figures(() => chart);
const chart = new Chart({ parent: byId('chart'), onPoint: (index) => figures.showPoint(index) });
const table = new SiteTable();
/** Unix time, ms; 0: never yet. */
let lastAnswer = 0;
let shownTargets = '';

async function ask(): Promise<LiveState | NoSuchTarget> {
  const response = await fetch(`${LIVE_DATA}${location.search}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.status === 404) return (await response.json()) as NoSuchTarget;
  if (!response.ok) throw new Error(`${(await response.text()).trim()} (status ${response.status})`);
  return (await response.json()) as LiveState;
}

function show(state: LiveState): void {
  const { at, c, process, problem } = state;
  lastAnswer = Date.now();
  setText(byId('status'), problem === '' ? stateText(state) : problem);
  document.documentElement.dataset.state = problem === '' ? (process?.state ?? 'none') : 'none';
  setText(byId('updated'), `Updated ${formatClockSeconds(at)}`);
  showTargets(state.targets, state.target);
  showProcess(state);
  const points = pointsOf(state);
  figures.show(state, points);
  // Then what is under the pointer, if it is over the chart.
  chart.show(points);
  table.show(at, state.identity, c);
  showNotes(c?.notes ?? []);
  setText(byId('attach-note'), attachNote(state));
  setText(byId('go-note'), goNote(state));
  setText(byId('rate-note'), rateNote(process));
  showCommands(state.pprof);
}

/** What the numbers are of. */
function stateText({ process, ended }: LiveState): string {
  if (ended !== '') return `${ended}.`;
  if (process?.state === 'paused') return 'Recording is paused: what is allocated now is not in these numbers.';
  return process?.state === 'running' ? 'Recording.' : 'The process is starting or ending.';
}

/**
 * Made anew only when there are others: one of them may have the focus.
 *
 * @param target Undefined: none of them is shown
 */
function showTargets(targets: readonly string[], target: string | undefined): void {
  const shown = JSON.stringify([targets, target]);
  if (shown === shownTargets) return;
  shownTargets = shown;
  byId('targets').hidden = targets.every((name) => name === target);
  byId('target-list').replaceChildren(
    ...targets.map((name) => {
      const current: Record<string, string> = name === target ? { 'aria-current': 'page' } : {};
      return element('li', {}, element('a', { href: `?target=${encodeURIComponent(name)}`, ...current }, name));
    }),
  );
}

function showProcess({ target, process }: LiveState): void {
  setText(byId('name'), target);
  setText(byId('process'), process === null ? '' : processText(process));
  document.title = `${target} – cgoprof`;
}

function processText({ pid, command, started, attached }: LiveProcess): string {
  const since = formatTime(new Date(attached ?? started));
  return [`pid ${pid}`, command, `${attached === null ? 'recorded' : 'attached'} since ${since}`]
    .filter((part) => part !== '')
    .join(' · ');
}

function showNotes(notes: readonly string[]): void {
  byId('losses').hidden = notes.length === 0;
  byId('loss-list').replaceChildren(...notes.map((note) => element('li', {}, note)));
}

/** What was shown stays, and is said to be old. */
function showOld(): void {
  document.documentElement.dataset.state = 'silent';
  figures.showSilence();
}

function showMissing({ targets }: NoSuchTarget): void {
  showOld();
  showTargets(targets, undefined);
  const name = new URLSearchParams(location.search).get('target');
  const what = name === null ? 'There is no process to show' : `There is no target “${name}”`;
  const gone = lastAnswer === 0 ? '' : ' any more';
  setText(byId('status'), `${what}${gone}.${targets.length > 0 ? ' Choose one of those above.' : ''}`);
}

function showSilence(error: unknown): void {
  showOld();
  const why = error instanceof Error && /status \d+/.test(error.message) ? `: ${error.message}` : '';
  const since = lastAnswer === 0 ? '' : ` since ${formatClockSeconds(lastAnswer)}`;
  setText(byId('status'), `cgoprof serve does not answer${since}${why}. Trying again…`);
}

async function askOrTell(): Promise<LiveState | NoSuchTarget | undefined> {
  try {
    return await ask();
  } catch (error) {
    showSilence(error);
    return undefined;
  }
}

async function run(): Promise<never> {
  for (;;) {
    const answer = await askOrTell();
    if (answer !== undefined) {
      if ('target' in answer) show(answer);
      else showMissing(answer);
    }
    await new Promise((resolve) => setTimeout(resolve, answer === undefined ? RETRY_MS : INTERVAL_MS));
  }
}

await run();
