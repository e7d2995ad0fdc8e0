/**
 * The numbers beside the chart: what each line stands at, or stood at under the pointer; what shows and hides it; and the
 * chart's text alternatives, one sentence and a table.
 */
import { formatBytes } from '../present/units.js';
import type { LiveState } from '../serve/live-state.js';
import type { Chart } from './chart.js';
import { byId, element, setText } from './elements.js';
import {
  BETWEEN,
  changeOf,
  isEarlier,
  type Points,
  replacedAt,
  SERIES,
  type Series,
  type SeriesName,
} from './series.js';
import { formatChange, formatClock, formatClockSeconds, formatSpan } from './words.js';

/** Between rows of the table. */
const ROW_MS = 300_000;

interface Figure {
  readonly value: HTMLElement;
  readonly change: HTMLElement;
}

const orUnknown = (bytes: number | null | undefined): string => (typeof bytes === 'number' ? formatBytes(bytes) : '–');

export class Figures {
  readonly #figures: ReadonlyMap<SeriesName, Figure>;
  #state: LiveState | undefined;
  #points: Points | undefined;
  #silent = false;

  constructor(chart: () => Chart) {
    this.#figures = new Map(SERIES.map((series) => [series.name, addFigure(series, chart)]));
  }

  show(state: LiveState, points: Points): void {
    this.#silent = false;
    this.#state = state;
    this.#points = points;
    this.showPoint(undefined);
    setText(byId('chart-text'), summary(state, points));
    byId('history-rows').replaceChildren(...tableRows(points));
  }

  /** What was shown last is not of now any more. */
  showSilence(): void {
    this.#silent = true;
    this.showPoint(undefined);
  }

  /** @param index Of a point in time; undefined: what is known last */
  showPoint(index: number | undefined): void {
    const points = this.#points;
    const state = this.#state;
    if (points === undefined || state === undefined) return;
    for (const { name } of SERIES) {
      const figure = this.#figures.get(name);
      if (figure === undefined) continue;
      const value = index === undefined ? valueNow(state, name) : points.values[name][index];
      setText(figure.value, orUnknown(value));
      // What it was once is no change of what is not known now.
      setText(figure.change, index === undefined && value !== null ? changeText(points, name) : '');
    }
    setText(byId('when'), index === undefined ? this.#whenShown(state, points) : whenPoint(points, index));
  }

  #whenShown(state: LiveState, points: Points): string {
    if (this.#silent) return `As of ${formatClockSeconds(state.at)}`;
    if (state.process === null) return '';
    return state.ended === '' ? `Now${orNothing(', ', newness(state, points))}` : 'What is known last';
  }
}

const orNothing = (before: string, text: string): string => (text === '' ? '' : `${before}${text}`);

/** Whose lines begin there is another process; '' when all are of the same, or it has ended as well. */
function newness({ at, ended }: LiveState, points: Points): string {
  const since = ended === '' ? replacedAt(points) : undefined;
  return since === undefined ? '' : `new process ${formatSpan(Math.max(0, at - since))} ago`;
}

function whenPoint(points: Points, index: number): string {
  return `At ${formatClockSeconds(points.at[index] ?? 0)}${isEarlier(points, index) ? ', an earlier process' : ''}`;
}

function valueNow({ c, go, rss }: LiveState, name: SeriesName): number | null {
  return { c: c?.bytes ?? null, go: go.bytes, rss }[name];
}

function changeText(points: Points, name: SeriesName): string {
  const change = changeOf(points, points.values[name]);
  return change === undefined ? '' : `${formatChange(change.bytes)} in ${formatSpan(change.ms)}`;
}

/** A button, pressed while its line is shown. */
function addFigure({ name, label }: Series, chart: () => Chart): Figure {
  const value = element('strong', { class: 'value' }, '–');
  const change = element('span', { class: 'change' });
  const swatch = element('span', { class: `swatch swatch-${name}`, 'aria-hidden': 'true' });
  const title = element('span', { class: 'label' }, swatch, label);
  const button = element('button', {
    type: 'button',
    class: 'figure',
    'aria-pressed': 'true',
    title: `Show or hide ${label}`,
  });
  button.append(title, ' ', value, ' ', change);
  button.addEventListener('click', () => {
    const shown = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(shown));
    chart().setShown(name, shown);
  });
  byId('figures').append(element('li', {}, button));
  return { value, change };
}

/** What the chart shows, for who does not see it. */
function summary(state: LiveState, points: Points): string {
  const parts = SERIES.map(({ name, label }) => {
    const now = valueNow(state, name);
    const change = changeText(points, name);
    if (now === null) return `${label} not known`;
    return `${label} ${formatBytes(now)}${change === '' ? '' : `, ${change}`}`;
  });
  return `Chart of memory over time. ${parts.join('; ')}${orNothing('; ', newness(state, points))}.`;
}

/** One row for every five minutes, latest first. */
function tableRows(points: Points): HTMLTableRowElement[] {
  const { at, of, values } = points;
  const rows: HTMLTableRowElement[] = [];
  let next = Number.POSITIVE_INFINITY;
  for (let i = at.length - 1; i >= 0; i--) {
    const time = at[i] ?? 0;
    if (time > next || of[i] === BETWEEN) continue;
    next = time - ROW_MS;
    const whose = isEarlier(points, i) ? ', an earlier process' : '';
    const head = element('th', { scope: 'row' }, `${formatClock(time)}${whose}`);
    rows.push(element('tr', {}, head, ...SERIES.map(({ name }) => element('td', {}, orUnknown(values[name][i])))));
  }
  return rows;
}
