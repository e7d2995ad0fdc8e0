/**
 * What /debug/pprof/symbol is asked: in the query, or in the body of a POST. What all who ask at the same time have us
 * hold is bounded.
 *
 * Source: net/http/pprof/pprof.go (Symbol), Go 1.26.
 */
import type { IncomingMessage } from 'node:http';
import { errorCode } from '../errors.js';
import { type Exchange, type Headers, HttpError } from './exchange.js';
import { parseUint64 } from './go-integers.js';
import type { ServedTarget } from './served-target.js';
import { Turns } from './turns.js';

/**
 * Bytes of a question, and addresses in it: pprof asks for all of a profile's at once, and ends if it is refused. Deep
 * stacks have two or three addresses each that no other has.
 */
export const MAX_BODY = 2 * 2 ** 20;
export const MAX_ADDRESSES = 100_000;

/** Bodies of all clients that are on their way; and questions about one target, by GET or by POST, that are answered. */
export const MAX_BODIES = 8;

/** Bytes between two `+` at which Go gives up: its reader's buffer is full. */
const MAX_WORD = 4096;

export interface Question {
  /** In the order in which they were asked for, some maybe more than once. */
  readonly addresses: readonly bigint[];
  /** Why Go would have stopped reading early, a line for the end of the answer; '': it would not have. */
  readonly problem: string;
}

/** A body that has been on its way for so long makes room for another, ms: most come at once. */
export const SLOW_MS = 5_000;

/** What cuts a body off that is on its way, and since when it is: the oldest first. */
const arriving = new Map<AbortController, number>();

/** Questions about one target that are answered: a service that says nothing keeps nobody waiting but for its own names. */
class Answered {
  /** Queries are bounded by the head of a request, and wait as they came. */
  readonly #queries = new Turns({ atOnce: MAX_BODIES, maxWaitMs: 10_000 });
  #bodies = 0;

  query(answer: () => Promise<void>): Promise<void> {
    return this.#queries.take(answer);
  }

  /** @throws HttpError when there are too many */
  async body(answer: () => Promise<void>): Promise<void> {
    if (this.#bodies === MAX_BODIES) throw busy();
    this.#bodies += 1;
    try {
      await answer();
    } finally {
      this.#bodies -= 1;
    }
  }
}

const ofTargets = new WeakMap<ServedTarget, Answered>();

/** Has a question answered; one without addresses at once. @throws HttpError when it is too long, or too many are asked */
export async function withQuestion(
  exchange: Exchange,
  target: ServedTarget,
  answer: (question: Question) => Promise<void>,
): Promise<void> {
  const { request } = exchange;
  const isBody = request.method === 'POST';
  const question = parseQuestion(isBody ? await arrivingBody(request) : queryOf(request.url ?? ''));
  if (question.addresses.length === 0) return answer(question);
  const answered = ofTargets.get(target) ?? new Answered();
  ofTargets.set(target, answered);
  return isBody ? answered.body(() => answer(question)) : answered.query(() => answer(question));
}

/** Clients that take their time keep nobody out for longer than {@link SLOW_MS}. */
async function arrivingBody(request: IncomingMessage): Promise<string> {
  if (arriving.size >= MAX_BODIES) cutOffSlowest(request);
  const cutOff = new AbortController();
  arriving.set(cutOff, performance.now());
  try {
    return await Promise.race([readBody(request), rejection(cutOff.signal)]);
  } finally {
    arriving.delete(cutOff);
  }
}

/** @param newcomer What of its body is still to come is passed over. @throws HttpError 503 where none is slow */
function cutOffSlowest(newcomer: IncomingMessage): void {
  for (const [cutOff, since] of arriving) {
    if (performance.now() - since < SLOW_MS) break;
    arriving.delete(cutOff);
    // What it still sends is not waited for.
    cutOff.abort(busy({ Connection: 'close' }));
    return;
  }
  newcomer.resume();
  throw busy();
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

function busy(headers: Headers = {}): HttpError {
  const words = 'cgoprof: busy: other questions are being read and answered';
  return new HttpError(503, words, { 'Retry-After': '1', ...headers });
}

/** As it came, without its question mark. */
function queryOf(url: string): string {
  const start = url.indexOf('?');
  return start < 0 ? '' : url.slice(start + 1);
}

async function readBody(request: IncomingMessage): Promise<string> {
  // Copied: pieces of a byte each, which a client may send, would take a hundred times as much by themselves.
  let bytes = Buffer.alloc(2 ** 14);
  let size = 0;
  try {
    // Not destroyed when it is too long: the client is to get its answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const end = size + chunk.length;
      if (end > MAX_BODY) throw tooMany(`${MAX_BODY} bytes of addresses`);
      if (end > bytes.length) bytes = Buffer.concat([bytes], Math.min(2 * end, MAX_BODY));
      chunk.copy(bytes, size);
      size = end;
    }
  } catch (error) {
    // What is still to come is passed over: some clients read no answer before they have sent all, and ask again then.
    request.resume();
    // Whoever goes away in mid-question is no defect of ours, and hears of nothing any more.
    throw errorCode(error) === 'ECONNRESET' ? new HttpError(400, 'reading request: unexpected EOF') : error;
  }
  return bytes.toString('latin1', 0, size);
}

function tooMany(limit: string): HttpError {
  return new HttpError(413, `cgoprof: symbol: more than ${limit}`);
}

/** What Go reads of it, in order; it says at the end why it stopped early. */
function parseQuestion(question: string): Question {
  const addresses: bigint[] = [];
  for (const word of question.split('+')) {
    if (word.length >= MAX_WORD) return { addresses, problem: 'reading request: bufio: buffer full\n' };
    const address = parseUint64(word) ?? 0n;
    if (address !== 0n) addresses.push(address);
    if (addresses.length > MAX_ADDRESSES) throw tooMany(`${MAX_ADDRESSES} addresses`);
  }
  return { addresses, problem: '' };
}
