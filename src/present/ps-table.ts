/**
 * The processes that `ps` lists: as a table for people and as JSON for machines.
 */
import type { FoundSegment } from '../collect/find-segments.js';
import { oneLine } from '../errors.js';
import type { SegmentCounters, SegmentHeader } from '../native-binding.js';
import { isPaused } from '../recording.js';
import { isoTime } from '../unix-time.js';
import { losses } from './losses.js';
import { formatBytes, formatTime } from './units.js';

/** `died`: ended without its exit handlers, by a signal or (as every Go program) by exit_group. */
export type ProcessState = 'starting' | 'running' | 'paused' | 'exiting' | 'exited' | 'died';

/** One profiled process; the JSON form. */
export interface ProcessRow {
  /** As we see it; as it saw itself, once it is dead. */
  readonly pid: number;
  readonly state: ProcessState;
  /** When profiling began, ISO 8601. */
  readonly started: string;
  /** Mean bytes between samples. */
  readonly rate: number;
  /** Allocations recorded. */
  readonly samples: number;
  /** ... of which not freed yet. */
  readonly live: number;
  /** Memory that the segment occupies. */
  readonly memoryBytes: number;
  readonly command: string;
  readonly segment: string;
  /** Losses that have happened, by counter. */
  readonly losses: Readonly<Partial<SegmentCounters>>;
  /** How often the library was attached; 0: it was preloaded. */
  readonly attachments: number;
  /** When it was last, ISO 8601. */
  readonly attached: string | null;
}

export function processRow({ path, header, livePid }: FoundSegment): ProcessRow {
  return {
    pid: livePid ?? header.pid,
    state: processState(header, livePid !== undefined),
    started: isoTime(header.createdUnixNs),
    rate: header.sampleRate,
    samples: header.samples,
    live: header.liveSamples,
    memoryBytes: header.committedBytes,
    command: header.exePath,
    segment: path,
    losses: losses(header.counters),
    attachments: header.attachments,
    attached: header.attachments > 0 ? isoTime(header.attachedUnixNs) : null,
  };
}

function processState(header: SegmentHeader, alive: boolean): ProcessState {
  if (header.state === 'exited') return alive ? 'exiting' : 'exited';
  if (!alive) return 'died';
  return isPaused(header) ? 'paused' : header.state;
}

const COLUMNS: ReadonlyArray<readonly [title: string, align: 'left' | 'right', cell: (row: ProcessRow) => string]> = [
  ['PID', 'right', (row) => String(row.pid)],
  ['STATE', 'left', (row) => row.state],
  ['START', 'left', (row) => formatTime(new Date(row.started))],
  ['RATE', 'right', (row) => String(row.rate)],
  ['SAMPLES', 'right', (row) => String(row.samples)],
  ['LIVE', 'right', (row) => String(row.live)],
  ['MEM', 'right', (row) => formatBytes(row.memoryBytes)],
  ['COMMAND', 'left', (row) => oneLine(row.command)],
  ['SEGMENT', 'left', (row) => oneLine(row.segment)],
];

/** The table, with a line under a process for what it lost. */
export function psTable(rows: readonly ProcessRow[]): string {
  const cells = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, , cell]) => cell(row)))];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) => pad(cell, widths[column] ?? 0, COLUMNS[column]?.[1] ?? 'left'))
      .join('  ')
      .trimEnd(),
  );
  const [head = '', ...body] = lines;
  return [head, ...body.flatMap((line, index) => [line, ...lossLine(rows[index])])].map((line) => `${line}\n`).join('');
}

function lossLine(row: ProcessRow | undefined): string[] {
  const losses = Object.entries(row?.losses ?? {}).map(([counter, count]) => `${counter} ${count}`);
  return losses.length > 0 ? [`  ${losses.join(', ')}`] : [];
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width);
}
