/**
 * Go's heap profile and the C profile in one text, such as runtime/pprof writes for ?debug=1 and `go tool pprof` reads.
 *
 * The text has one sampling rate, by which its reader scales every record (google/pprof profile/legacy_profile.go,
 * parseHeap), and Go and C may have been sampled at two. So values are scaled here, each record by its own rate, and the
 * header states the rate that leaves them as they are: 1, written as twice that. The reader sees the numbers of the merged
 * profile in protobuf.
 *
 * Go's records stand as the service wrote them, but for that. Those that come from a profile have no offsets in functions,
 * which are not known.
 */
import type { Profile, Sample } from 'pprof-format';
import { oneLine } from '../errors.js';
import { type GoHeapText, type GoTextRecord, OUR_COMMENT } from './go-heap-text.js';
import { addInt64, compareInt64, type Int64, int64 } from './int64.js';
import { scaleHeapSample } from './scale-heap-sample.js';
import { type TextFrame, TextFrames, withoutCuts } from './text-frames.js';

/** One record, scaled. */
interface TextRecord {
  readonly inUse: Amount;
  readonly allocated: Amount;
  /** Return addresses, each with a space before it. */
  readonly stack: string;
  /** Comment lines, each with its newline. */
  readonly comments: string;
}

type Amount = readonly [objects: Int64, bytes: Int64];

/** Bytes to which a tabulator leads. */
const TAB = 8;

/** Characters of a name or a path: the text's reader gives up at a line of 64 KiB. */
const MAX_CELL = 4096;

const UNCOUNTED = `${OUR_COMMENT}counted as one object: how many they are is not known\n`;

function fromGo({ inUse, allocated, stack, comments }: GoTextRecord, rate: number): TextRecord {
  return {
    inUse: scaleHeapSample(...inUse, rate),
    allocated: scaleHeapSample(...allocated, rate),
    stack,
    comments,
  };
}

function fromSample({ value }: Sample, stack: readonly TextFrame[]): TextRecord {
  const [objects = 0, bytes = 0, inUseObjects = 0, inUseBytes = 0] = value.map(int64);
  const isUncounted = (objects === 0 && bytes !== 0) || (inUseObjects === 0 && inUseBytes !== 0);
  return {
    inUse: counted(inUseObjects, inUseBytes),
    allocated: counted(objects, bytes),
    stack: withoutCuts(stack)
      .map((frame) => cellsOf(frame).returnAddress)
      .join(''),
    comments: `${isUncounted ? UNCOUNTED : ''}${frameComments(stack)}`,
  };
}

/** The text's reader refuses bytes of no objects, as what an allocator says was in use before the attach. */
function counted(objects: Int64, bytes: Int64): Amount {
  return [objects === 0 && bytes !== 0 ? 1 : objects, bytes];
}

/** What is written of a frame, which most stacks share with others. */
interface Cells {
  /** With a space before it. */
  readonly returnAddress: string;
  readonly pc: string;
  readonly name: string;
  readonly place: string;
}

const cellsByFrame = new WeakMap<TextFrame, Cells>();

function cellsOf(frame: TextFrame): Cells {
  let cells = cellsByFrame.get(frame);
  if (cells === undefined) {
    const { address, pc, name, place } = frame;
    const returnAddress = ` 0x${(address + 1n).toString(16)}`;
    cells = { returnAddress, pc: `0x${pc.toString(16)}`, name: cell(name), place: cell(place) };
    cellsByFrame.set(frame, cells);
  }
  return cells;
}

/** Columns as Go's text/tabwriter sets them, by tabulators. */
function frameComments(stack: readonly TextFrame[]): string {
  const rows = stack.map(cellsOf);
  const [pcs, names] = [width(rows.map(({ pc }) => pc)), width(rows.map(({ name }) => name))];
  return rows
    .map(({ pc, name, place }) => `#\t${padded(pc, pcs)}${place === '' ? name : padded(name, names) + place}\n`)
    .join('');
}

function cell(text: string): string {
  return oneLine(text).slice(0, MAX_CELL);
}

/** Of the column, with what keeps it from the next one. */
function width(cells: readonly string[]): number {
  const longest = cells.reduce((most, { length }) => Math.max(most, length), 0);
  return TAB * Math.ceil((longest + 1) / TAB);
}

function padded(text: string, columnWidth: number): string {
  return text + '\t'.repeat(Math.ceil((columnWidth - text.length) / TAB));
}

function total(amounts: readonly Amount[]): Amount {
  return amounts.reduce<Amount>(([n, size], [objects, bytes]) => [addInt64(n, objects), addInt64(size, bytes)], [0, 0]);
}

/** As Go does: allocated bytes that equal those in use would make the reader take the text for one of two columns. */
function header(records: readonly TextRecord[]): string {
  const [inUseObjects, inUseBytes] = total(records.map(({ inUse }) => inUse));
  const [objects, bytes] = total(records.map(({ allocated }) => allocated));
  const told = bytes === inUseBytes ? addInt64(bytes, 1) : bytes;
  return `heap profile: ${inUseObjects}: ${inUseBytes} [${objects}: ${told}] @ heap/2\n`;
}

function recordText({ inUse, allocated, stack, comments }: TextRecord): string {
  return `${inUse[0]}: ${inUse[1]} [${allocated[0]}: ${allocated[1]}] @${stack}\n${comments}\n`;
}

/** Up to Go 1.22 most bytes in use come first, since then last. */
function isDescending({ records }: GoHeapText): boolean {
  const bytes = records.map(({ inUse }) => inUse[1]);
  return (bytes[0] ?? 0) > (bytes.at(-1) ?? 0);
}

function goRate(go: GoHeapText | undefined): string[] {
  if (go === undefined) return [];
  if (go.rate === 1) return ['every Go allocation was recorded'];
  return [`Go allocations were sampled once per ${go.rate} bytes on average`];
}

/** What a profile's own comments say, and that our values need no scaling. */
function ourComments({ go, profiles, notes }: HeapTextParts): string[] {
  const carried = profiles.flatMap(({ comment, stringTable: { strings } }) =>
    comment.map((index) => (strings[Number(index)] ?? '').replace(/^cgoprof: /, '')),
  );
  const scaled = 'values are those of the merged profile: nothing is left to scale';
  return [...new Set([...notes, ...carried, ...goRate(go), scaled])].map((note) => `${OUR_COMMENT}${cell(note)}\n`);
}

export interface HeapTextParts {
  /** What the service answered; undefined where none was asked. */
  readonly go: GoHeapText | undefined;
  /** What else is in it: C's, from cProfile, and Go's where there is no text of it. Scaled. */
  readonly profiles: readonly Profile[];
  /** For whoever reads it, one line each. */
  readonly notes: readonly string[];
}

export function legacyHeapText(parts: HeapTextParts): string {
  const { go, profiles } = parts;
  const records = (go?.records ?? []).map((record) => fromGo(record, go?.rate ?? 0));
  const frames = new TextFrames(profiles);
  for (const profile of profiles) {
    for (const sample of profile.sample) records.push(fromSample(sample, frames.stack(profile, sample)));
  }
  const sign = go !== undefined && isDescending(go) ? -1 : 1;
  records.sort((a, b) => sign * compareInt64(a.inUse[1], b.inUse[1]));
  const tail = go === undefined || go.tail === '' ? '' : `\n${go.tail}`;
  return [header(records), ...records.map(recordText), tail, '\n', ...ourComments(parts)].join('');
}
