/**
 * Takes in the text of a Go heap profile, what /debug/pprof/heap?debug=1 answers, and trusts none of it.
 *
 * Source: runtime/pprof/pprof.go (writeHeapInternal, printStackRecord), Go 1.18 to 1.26.
 */
import { ProfileError } from './profile-error.js';

/** One stack and one size of block. Values are as they were sampled, not yet scaled. */
export interface GoTextRecord {
  readonly inUse: readonly [objects: number, bytes: number];
  readonly allocated: readonly [objects: number, bytes: number];
  /** Return addresses as written, each with a space before it. */
  readonly stack: string;
  /** The comment lines that name its frames, each with its newline. */
  readonly comments: string;
}

export interface GoHeapText {
  /** runtime.MemProfileRate. */
  readonly rate: number;
  /** In the order of the text. */
  readonly records: readonly GoTextRecord[];
  /** From `# runtime.MemStats` on, comment lines alone, each with its newline; '' where there is none. */
  readonly tail: string;
}

export interface TextLimits {
  readonly maxBytes: number;
  readonly maxRecords: number;
}

/** A record with a deep stack takes 4 KB; Go services have some 10,000. */
const LIMITS: TextLimits = { maxBytes: 256 * 2 ** 20, maxRecords: 2 ** 20 };

const HEADER = /^heap profile: \d+: \d+ \[\d+: \d+\] @ heap\/(\d{1,19})$/;
const RECORD = /^(-?\d{1,19}): (-?\d{1,19}) \[(\d{1,19}): (\d{1,19})\] @((?: 0x[0-9a-f]{1,16})*)$/;
const TAIL = '# runtime.MemStats';

/** What {@link legacyHeapText} writes, and Go does not. */
export const OUR_COMMENT = '# cgoprof: ';

/** A record whose comment lines are still being read. */
interface OpenRecord extends GoTextRecord {
  comments: string;
}

function parseRecord([, inUseObjects, inUseBytes, objects, bytes, stack = '']: RegExpExecArray): OpenRecord {
  return {
    inUse: [Number(inUseObjects), Number(inUseBytes)],
    allocated: [Number(objects), Number(bytes)],
    stack,
    comments: '',
  };
}

/** Lines without their newline, from one at a time: a text of many megabytes makes no array of them. */
function* linesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    yield end < 0 ? text.slice(start) : text.slice(start, end);
    start = end < 0 ? text.length : end + 1;
  }
}

function decode(bytes: Uint8Array, name: string, maxBytes: number): string {
  if (bytes.length > maxBytes) throw new ProfileError(name, `larger than ${maxBytes} bytes`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

/**
 * @param name What to call it in errors.
 * @throws ProfileError whatever is wrong with it
 */
export function parseGoHeapText(bytes: Uint8Array, name: string, limits: TextLimits = LIMITS): GoHeapText {
  const [header = '', ...rest] = splitOnce(decode(bytes, name, limits.maxBytes));
  const doubled = HEADER.exec(header)?.[1];
  if (doubled === undefined) throw new ProfileError(name, 'not the text of a Go heap profile');
  const records: OpenRecord[] = [];
  let tail = '';
  for (const line of linesOf(rest.join(''))) {
    if (line.startsWith(OUR_COMMENT)) throw new ProfileError(name, 'is a merged profile: it holds C memory already');
    const comment = line.startsWith('#') ? `${line}\n` : '';
    const open = records.at(-1);
    if (tail !== '' || line === TAIL) tail += comment;
    else if (comment !== '' && open !== undefined) open.comments += comment;
    else if (line !== '') records.push(parseRecord(matchRecord(line, name)));
    if (records.length > limits.maxRecords) throw new ProfileError(name, `more than ${limits.maxRecords} records`);
  }
  // Go writes twice the rate, as the first C++ heap profilers did.
  return { rate: Math.floor(Number(doubled) / 2), records, tail };
}

function splitOnce(text: string): [first: string, rest: string] {
  const end = text.indexOf('\n');
  return end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end + 1)];
}

function matchRecord(line: string, name: string): RegExpExecArray {
  const match = RECORD.exec(line);
  if (match === null) throw new ProfileError(name, 'a damaged text of a Go heap profile');
  return match;
}
