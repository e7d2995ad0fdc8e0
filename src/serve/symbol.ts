/**
 * /debug/pprof/symbol: names of functions by address, for texts that hold addresses alone; of C as well as of Go.
 *
 * An address is looked for in the stacks of the C profile, so that it has the name that the merged profile has; then in
 * the modules that the target's segment knows; what may be Go's and is in neither is asked of the service. Both what
 * `go tool pprof` asks for (return address - 1) and the return addresses of a text lead to the function that called.
 *
 * Source: net/http/pprof/pprof.go (Symbol), Go 1.26.
 */
import type { Profile } from 'pprof-format';
import type { Upstream } from '../collect/upstream.js';
import { withinTime } from '../collect/within-time.js';
import { CgoprofError } from '../errors.js';
import { isSomewhere, printedGoName, TextFrames } from '../merge/text-frames.js';
import { addressName } from '../merge/unnamed-frame.js';
import type { SegmentBucket, SegmentModule } from '../native-binding.js';
import type { ResolvedLocation } from '../symbolize/symbolize-segment.js';
import { type Exchange, HttpError, NO_SNIFF, PLAIN_TEXT } from './exchange.js';
import { profilesOf } from './heap-text.js';
import { ofOneProcess } from './one-process.js';
import type { CPart, ServedTarget } from './served-target.js';
import { withQuestion } from './symbol-question.js';
import { Turns } from './turns.js';

/** Addresses that are looked up at once, beside those of the stacks: their names take memory until they are answered. */
const LOOKED_UP_AT_ONCE = 10_000;

/** Addresses per request of the service: a line that every server and proxy takes. */
const ASKED_AT_ONCE = 200;

/**
 * Addresses that the service is asked about, and milliseconds in all; what is in the program's own image is no such, but
 * for odd ones.
 */
export const MAX_ASKED = 2_000;
export const MAX_ASKED_MS = 5_000;

/** Bytes of the service's answer. */
const MAX_ANSWER = 4 * 2 ** 20;

/** Characters of an answer: a name can be pages long, and be asked for again and again. */
export const MAX_TEXT = 32 * 2 ** 20;

/** Questions whose names are looked up and held, of all targets together. */
const turns = new Turns({ atOnce: 1, maxWaitMs: 10_000 });

type ReadonlyNames = ReadonlyMap<bigint, string>;

const NO_NAMES: ReadonlyNames = new Map();

/** Of addresses. Each is at least once in the answer, which is too long as soon as they are. */
class Names extends Map<bigint, string> {
  #size = 0;

  /** @throws HttpError 413 */
  override set(address: bigint, name: string): this {
    this.#size += name.length;
    if (this.#size > MAX_TEXT) throw tooLong();
    return super.set(address, name);
  }
}

function tooLong(): HttpError {
  return new HttpError(413, `cgoprof: symbol: more than ${MAX_TEXT} bytes of names`);
}

/** @throws HttpError or CgoprofError */
export function answerSymbol(exchange: Exchange, target: ServedTarget): Promise<void> {
  return withQuestion(exchange, target, async ({ addresses, problem }) => {
    const asked = new Set(addresses);
    const names = asked.size === 0 ? NO_NAMES : await ofOneProcess(target, () => namesOf(asked, target, exchange.gone));
    exchange.send({ ...NO_SNIFF, 'Content-Type': PLAIN_TEXT }, answerText(addresses, names, problem));
  });
}

function answerText(addresses: readonly bigint[], names: ReadonlyNames, problem: string): string {
  const lines: string[] = [];
  let size = 0;
  for (const address of addresses) {
    const line = lineOf(address, names.get(address));
    size += line.length;
    if (size > MAX_TEXT) throw tooLong();
    lines.push(line);
  }
  return `num_symbols: 1\n${lines.join('')}${problem}`;
}

function lineOf(address: bigint, name: string | undefined): string {
  return name === undefined ? '' : `0x${address.toString(16)} ${name.replace(/\p{Cc}+/gu, ' ')}\n`;
}

async function namesOf(addresses: ReadonlySet<bigint>, target: ServedTarget, gone: AbortSignal): Promise<Names> {
  const known = await whatIsKnown(target);
  const { names, unknown } = await turns.take(() => namesOnThisSide(addresses, target, known, gone));
  const { upstream } = target;
  if (upstream !== undefined && unknown.length > 0) {
    // Outside of the turn: a service that does not answer keeps nobody else waiting.
    await withinTime(MAX_ASKED_MS, gone, (signal) =>
      addNamesOfService(names, unknown.slice(0, MAX_ASKED), upstream, signal),
    );
  }
  return names;
}

/** With those that remain, and may be Go's. */
async function namesOnThisSide(
  addresses: ReadonlySet<bigint>,
  target: ServedTarget,
  { part, profiles }: Known,
  gone: AbortSignal,
): Promise<{ names: Names; unknown: readonly bigint[] }> {
  const names = namesInStacks(addresses, framesOf(part, profiles));
  const rest = [...addresses].filter((address) => !names.has(address) && isSomewhere(address));
  const unknown: bigint[] = [];
  for (let start = 0; start < rest.length && !gone.aborted; start += LOOKED_UP_AT_ONCE) {
    const some = rest.slice(start, start + LOOKED_UP_AT_ONCE);
    unknown.push(...(await addNamesInModules(names, some, target, part)));
  }
  return { names, unknown };
}

interface Known {
  readonly part: CPart;
  readonly profiles: readonly Profile[];
}

/** With the profiles whose stacks {@link answerHeapText} has no text of the service's for, in its order. */
async function whatIsKnown(target: ServedTarget): Promise<Known> {
  if (target.current().end === undefined) {
    const part = await target.cPart();
    return { part, profiles: [part.c] };
  }
  const part = await target.snapshot({ gc: false });
  return { part, profiles: profilesOf(part) };
}

/** Of what several questions share. */
const framesOfPart = new WeakMap<CPart, TextFrames>();

function framesOf(part: CPart, profiles: readonly Profile[]): TextFrames {
  const frames = framesOfPart.get(part) ?? new TextFrames(profiles);
  framesOfPart.set(part, frames);
  return frames;
}

function namesInStacks(addresses: ReadonlySet<bigint>, frames: TextFrames): Names {
  const names = new Names();
  for (const address of addresses) {
    const name = frames.nameAt(address);
    if (name !== undefined) names.set(address, name);
  }
  return names;
}

/** @returns those that remain, and may be Go's. */
async function addNamesInModules(
  names: Names,
  addresses: readonly bigint[],
  target: ServedTarget,
  { target: of, symbolized: { segment } }: CPart,
): Promise<bigint[]> {
  // Of two that had the same place, the one that came last.
  const modules = [...segment.modules].reverse();
  const found = addresses.map((address) => ({ address, module: modules.find((one) => hasCodeAt(one, address)) }));
  const known = found.filter((one) => one.module !== undefined);
  const stack: SegmentBucket = {
    ...NO_BUCKET,
    frames: BigUint64Array.from(known, ({ address }) => address + 1n),
    frameModules: Uint16Array.from(known, ({ module }) => module?.id ?? 0),
  };
  const { locations } = await target.namesFor(of, { ...segment, buckets: [stack] });
  const unknown: bigint[] = [];
  for (const { address, module } of found) {
    const name = module && nameIn(module, address, locations.get(module.id)?.get(address + 1n));
    if (name === undefined) unknown.push(address);
    else names.set(address, name);
  }
  return unknown;
}

/** Only its stack is of interest. */
const NO_BUCKET = {
  kind: 0,
  sizeClass: 0,
  allocs: 0,
  frees: 0,
  allocBytes: 0,
  freeBytes: 0,
  torn: false,
  truncated: false,
  goUnreachable: false,
} satisfies Partial<SegmentBucket>;

function hasCodeAt({ textStart, textEnd }: SegmentModule, address: bigint): boolean {
  return textStart <= address && address < textEnd;
}

/** The innermost inlined function; undefined for wrappers made by the Go compiler, whose names its line table leaves out. */
function nameIn(module: SegmentModule, address: bigint, known: ResolvedLocation | undefined): string | undefined {
  const [line] = known?.lines ?? [];
  if (known?.isGo) return line && printedGoName(line.name);
  return line?.name ?? addressName(module.path, address - module.bias);
}

/** A service that does not answer names nothing; what it knows the segment knows as well, as a rule. */
async function addNamesOfService(
  names: Names,
  addresses: readonly bigint[],
  upstream: Upstream,
  cancel: AbortSignal,
): Promise<void> {
  for (let start = 0; start < addresses.length; start += ASKED_AT_ONCE) {
    const asked = addresses.slice(start, start + ASKED_AT_ONCE).map((address) => `0x${address.toString(16)}`);
    const answer = await askService(upstream, asked, cancel);
    if (answer === undefined) return;
    for (const [, address = '', name = ''] of answer.matchAll(/^(0x[0-9a-f]{1,16}) (.+)$/gm)) {
      names.set(BigInt(address), name);
    }
  }
}

/** By GET: since Go 1.22 net/http/pprof takes no POST. */
async function askService(
  upstream: Upstream,
  addresses: readonly string[],
  cancel: AbortSignal,
): Promise<string | undefined> {
  try {
    const { bytes } = await upstream.read('symbol', `?${addresses.join('+')}`, MAX_ANSWER, cancel);
    return Buffer.from(bytes).toString();
  } catch (error) {
    if (error instanceof CgoprofError) return undefined;
    throw error;
  }
}
