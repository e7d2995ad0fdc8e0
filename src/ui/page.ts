/** The live page: asks the server for numbers, again and again, and shows what comes; or says that nothing does. */

import { formatBytes, formatTime } from '../present/units.js';
import { INTERVAL_MS, LIVE_DATA, type LiveProcess, type LiveState } from '../serve/live-state.js';
import { Chart } from './chart.js';
import { showCommands } from './commands.js';
import { byId, element, setText } from './elements.js';
import { Figures } from './figures.js';
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

async function ask(): Promise<LiveState> {
  const response = await fetch(`${LIVE_DATA}${location.search}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`${(await response.text()).trim()} (status ${response.status})`);
  return (await response.json()) as LiveState;
}

function show(state: LiveState): void {
  const { at, c, process, problem } = state;
  lastAnswer = Date.now();
  setText(byId('status'), problem === '' ? stateText(state) : problem);
  document.documentElement.dataset.state = problem === '' ? (process?.state ?? 'none') : 'none';
  setText(byId('updated'), `Updated ${formatClockSeconds(at)}`);
  showTargets(state);
  showProcess(process);
  const points = pointsOf(state);
  figures.show(state, points);
  // Then what is under the pointer, if it is over the chart.
  chart.show(points);
  if (c !== null) table.show(at, state.identity, c);
  showNotes(c?.notes ?? []);
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

/** Made anew only when there are others: one of them may have the focus. */
function showTargets({ targets, target }: LiveState): void {
  const shown = JSON.stringify([targets, target]);
  if (shown === shownTargets) return;
  shownTargets = shown;
  byId('targets').hidden = targets.length < 2;
  byId('target-list').replaceChildren(
    ...targets.map((name) => {
      const current: Record<string, string> = name === target ? { 'aria-current': 'page' } : {};
      return element('li', {}, element('a', { href: `?target=${encodeURIComponent(name)}`, ...current }, name));
    }),
  );
}

function showProcess(process: LiveProcess | null): void {
  const command = process?.command ?? '';
  const name = command.slice(command.lastIndexOf('/') + 1);
  setText(byId('name'), process === null ? '' : name || `pid ${process.pid}`);
  setText(byId('process'), process === null ? '' : processText(process));
  document.title = process === null ? 'cgoprof' : `${name || process.pid} – cgoprof`;
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

/** How new Go's numbers are, and what they cost. */
function goNote({ go: { served, takenAt, problem }, process, rss }: LiveState): string {
  if (!served) return 'Go in use is not known: no service was named with --go.';
  if (process === null || rss === null) return 'Go in use went with the process.';
  const taken = takenAt === null ? '' : ` Its last profile came at ${formatClockSeconds(takenAt)}.`;
  if (problem !== '') return `Go: ${problem}.${taken}`;
  return `Go’s numbers are as of its last garbage collection. The service is asked for them only while this page is open, every ${INTERVAL_MS / 1_000}\u00a0s, or when somebody takes a profile.`;
}

function rateNote(process: LiveProcess | null): string {
  if (process === null) return '';
  if (process.rate <= 1) return 'Every allocation in C is recorded.';
  return `Allocations in C are sampled, one per ${formatBytes(process.rate)} on average: amounts are estimates, and below each stands where the truth lies in 95 % of cases.`;
}

/** What was shown stays, and is said to be old. */
function showSilence(error: unknown): void {
  document.documentElement.dataset.state = 'silent';
  const why = error instanceof Error && /status \d+/.test(error.message) ? `: ${error.message}` : '';
  const since = lastAnswer === 0 ? '' : ` since ${formatClockSeconds(lastAnswer)}`;
  setText(byId('status'), `cgoprof serve does not answer${since}${why}. Trying again…`);
}

async function askOrTell(): Promise<LiveState | undefined> {
  try {
    return await ask();
  } catch (error) {
    showSilence(error);
    return undefined;
  }
}

async function run(): Promise<never> {
  for (;;) {
    const state = await askOrTell();
    if (state !== undefined) show(state);
    await new Promise((resolve) => setTimeout(resolve, state === undefined ? RETRY_MS : INTERVAL_MS));
  }
}

await run();
