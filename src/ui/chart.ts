/** The chart: three lines over the last hour, told apart by their strokes and names as well as by colour. */
import type UPlot from 'uplot';
import { formatBytes } from '../present/units.js';
import { LONGEST_MS, type Points, SERIES, type SeriesName, SHORTEST_MS } from './series.js';
import { formatClock } from './words.js';

/** Set by uplot.js, which runs before. */
declare const uPlot: typeof UPlot;

const HEIGHT = 260;
const AXIS_FONT = '12px system-ui, sans-serif';
const LABEL_FONT = '600 12px system-ui, sans-serif';

/** A gap that is shorter could not be told from a line that falls, CSS pixels. */
const SHORTEST_GAP = 6;

/** Distance between two names at the ends of lines, CSS pixels. */
const LABEL_STEP = 15;

/** Steps of axes, such that labels are round in IEC units. */
const BYTE_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const MINUTE_STEPS = [1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60);

/** A colour of page.css, in the scheme that is chosen now. */
const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export interface ChartOptions {
  readonly parent: HTMLElement;
  /** Tells which point the pointer is over, by its index; undefined: over none. */
  readonly onPoint: (index: number | undefined) => void;
}

export class Chart {
  #plot: UPlot | undefined;
  #points: Points | undefined;
  readonly #hidden = new Set<SeriesName>();

  constructor(private readonly options: ChartOptions) {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(options.parent);
  }

  show(points: Points): void {
    this.#points = points;
    if (this.#plot === undefined) this.#draw();
    else this.#plot.setData(dataOf(points));
  }

  setShown(name: SeriesName, shown: boolean): void {
    if (shown) this.#hidden.delete(name);
    else this.#hidden.add(name);
    this.#plot?.setSeries(SERIES.findIndex((series) => series.name === name) + 1, { show: shown });
  }

  /** Anew: uPlot keeps the colours that it was made with. */
  #draw(): void {
    if (this.#points === undefined) return;
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#uplotOptions(), dataOf(this.#points), this.options.parent);
  }

  #size(): UPlot.Options & { width: number; height: number } {
    return { width: Math.max(200, this.options.parent.clientWidth), height: HEIGHT } as UPlot.Options;
  }

  #uplotOptions(): UPlot.Options {
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { range: timeRange }, y: { range: byteRange } },
      axes: axes(),
      series: [
        {},
        ...SERIES.map(({ name, label, dash }) => ({
          label,
          dash: [...dash],
          stroke: colour(name),
          width: 2,
          gaps: widened,
          show: !this.#hidden.has(name),
          points: { show: false, filter: lonePoints, size: 4, fill: colour(name) },
        })),
      ],
      hooks: {
        setCursor: [(plot) => this.options.onPoint(plot.cursor.idx ?? undefined)],
        draw: [drawNames],
      },
    };
  }
}

/** An hour is hundreds of points wide: a gap of one of them is hardly a pixel. */
function widened(
  _plot: UPlot,
  _series: number,
  _from: number,
  _to: number,
  gaps: [number, number][],
): [number, number][] {
  const shortest = SHORTEST_GAP * devicePixelRatio;
  return gaps.map(([from, to]) => {
    const missing = Math.max(0, shortest - (to - from)) / 2;
    return [from - missing, to + missing];
  });
}

/** Points between two gaps, of which no line would show anything. */
function lonePoints({ data }: UPlot, index: number): number[] | null {
  const values = data[index] ?? [];
  const isGap = (i: number, step: number): boolean => {
    let at = i + step;
    while (values[at] === undefined && at >= 0 && at < values.length) at += step;
    return values[at] === undefined || values[at] === null;
  };
  const lone = [...values.keys()].filter((i) => typeof values[i] === 'number' && isGap(i, -1) && isGap(i, 1));
  return lone.length > 0 ? lone : null;
}

/** uPlot's times are seconds. */
function dataOf({ at, values }: Points): UPlot.AlignedData {
  return [at.map((ms) => ms / 1_000), ...SERIES.map(({ name }) => [...values[name]])] as UPlot.AlignedData;
}

function timeRange(_plot: UPlot, first: number, last: number): [number, number] {
  const span = Math.min(Math.max(last - first, SHORTEST_MS / 1_000), LONGEST_MS / 1_000);
  return [last - span, last];
}

/** From 0: what is in use is an amount. */
function byteRange(_plot: UPlot, _lowest: number, highest: number): [number, number] {
  return [0, Math.max(highest * 1.08, 1024)];
}

function axes(): UPlot.Axis[] {
  const common = {
    stroke: colour('muted'),
    font: AXIS_FONT,
    grid: { stroke: colour('grid'), width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...common,
      incrs: MINUTE_STEPS,
      space: 52,
      size: 30,
      values: (_plot, times) => times.map((time) => formatClock(time * 1_000)),
    },
    {
      ...common,
      incrs: BYTE_STEPS,
      size: 68,
      gap: 6,
      space: 30,
      values: (_plot, amounts) => amounts.map((amount) => (amount === 0 ? '0' : formatBytes(amount))),
    },
  ];
}

interface NameAtEnd {
  readonly text: string;
  readonly colour: string;
  readonly x: number;
  y: number;
}

/** Writes each line's name above its end, one out of the other's way. */
function drawNames(plot: UPlot): void {
  const ratio = devicePixelRatio;
  const names = SERIES.flatMap((series, i) => nameAtEnd(plot, i + 1, series.shortLabel, colour(series.name)));
  names.sort((a, b) => b.y - a.y);
  let lowest = Number.POSITIVE_INFINITY;
  const { ctx } = plot;
  ctx.save();
  ctx.font = LABEL_FONT.replace('12px', `${12 * ratio}px`);
  ctx.textAlign = 'right';
  ctx.textBaseline = 'bottom';
  for (const name of names) {
    name.y = Math.max(Math.min(name.y, lowest - LABEL_STEP * ratio), plot.bbox.top + LABEL_STEP * ratio);
    lowest = name.y;
    ctx.lineWidth = 3 * ratio;
    ctx.strokeStyle = colour('panel');
    ctx.strokeText(name.text, name.x, name.y);
    ctx.fillStyle = name.colour;
    ctx.fillText(name.text, name.x, name.y);
  }
  ctx.restore();
}

function nameAtEnd(plot: UPlot, index: number, text: string, ink: string): NameAtEnd[] {
  const values = plot.data[index] ?? [];
  const last = values.findLastIndex((value) => typeof value === 'number');
  if (last < 0 || plot.series[index]?.show === false) return [];
  const x = plot.valToPos(plot.data[0][last] ?? 0, 'x', true);
  if (x < plot.bbox.left + 24 * devicePixelRatio) return [];
  const y = plot.valToPos(values[last] ?? 0, 'y', true) - 4 * devicePixelRatio;
  return [{ text, colour: ink, x, y }];
}
