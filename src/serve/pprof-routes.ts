/**
 * /debug/pprof/ as net/http/pprof has it: which path is answered by what, in its order of checks.
 *
 * Source: net/http/pprof/pprof.go (handler.ServeHTTP, serveDeltaProfile), net/http/server.go (ServeMux), Go 1.26.
 */
import { isPageName } from '../collect/upstream.js';
import { isCAlone } from './c-alone.js';
import { redirect } from './clean-path.js';
import { answerCommandLine } from './command-line.js';
import { deltaProfile } from './delta-profile.js';
import { DeltaWindows } from './delta-windows.js';
import { type Exchange, HttpError, NO_SNIFF, PLAIN_TEXT } from './exchange.js';
import { unescaped } from './go-query.js';
import { answerHeapText } from './heap-text.js';
import { answerIndex } from './index-page.js';
import { passThrough } from './pass-through.js';
import type { ServedTarget } from './served-target.js';
import { answerSymbol } from './symbol.js';

type Answer = (exchange: Exchange, target: ServedTarget, targets: readonly ServedTarget[]) => Promise<void>;

/** What is not the service's own. */
const ANSWERS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['', answerIndex],
  ['heap', (exchange, target) => answerHeap(exchange, target, 'heap')],
  ['allocs', (exchange, target) => answerHeap(exchange, target, 'allocs')],
  ['cmdline', answerCommandLine],
  ['symbol', answerSymbol],
]);

/** What viewers show first of them. */
const DEFAULT_TYPES = { heap: '', allocs: 'alloc_space' } as const;

const UNKNOWN_WITHOUT_SERVICE = 'Unknown profile\n  It would be the service’s own, but none was named with --go.';

/** strconv.ParseInt fails beyond. */
const MAX_INT64 = 2n ** 63n - 1n;

/** Of all targets together. */
const windows = new DeltaWindows();

/**
 * @param path What follows /debug/pprof/, as the client sent it.
 * @param targets All that are served.
 * @throws HttpError or CgoprofError
 */
export async function answerPprof(
  exchange: Exchange,
  target: ServedTarget,
  path: string,
  targets: readonly ServedTarget[],
): Promise<void> {
  const name = unescaped(path);
  if (!isAllowed(exchange, name)) return refuseMethod(exchange);
  // Neither has Go a profile by a name that a service can take for another path.
  if (name === undefined || !isPageName(name)) throw new HttpError(404, 'Unknown profile');
  const answer = ANSWERS.get(name);
  if (answer !== undefined) return answer(exchange, target, targets);
  if (target.upstream === undefined) throw new HttpError(404, UNKNOWN_WITHOUT_SERVICE);
  return passThrough(exchange, target.upstream, name);
}

/** /debug/pprof, without its slash. */
export function answerWithoutSlash(exchange: Exchange): void {
  if (isAllowed(exchange, '')) redirect(exchange, `${exchange.path}/`);
  else refuseMethod(exchange);
}

/** Addresses to be named may be too many for a URL. */
function isAllowed({ request: { method } }: Exchange, name: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || (method === 'POST' && name === 'symbol');
}

function refuseMethod(exchange: Exchange): void {
  const headers = { ...NO_SNIFF, 'Content-Type': PLAIN_TEXT, Allow: 'GET, HEAD' };
  exchange.send(headers, 'Method Not Allowed\n', 405);
}

async function answerHeap(exchange: Exchange, target: ServedTarget, name: keyof typeof DEFAULT_TYPES): Promise<void> {
  const seconds = exchange.query.get('seconds') ?? '';
  if (seconds !== '') return answerDelta(exchange, target, name, seconds);
  if (exchange.integer('debug') !== 0) return answerHeapText(exchange, target, name);
  const gc = name === 'heap' && exchange.integer('gc') > 0;
  const snapshot = await target.snapshot({ gc, cAlone: isCAlone(exchange) });
  sendProfile(exchange, name, await snapshot.encoded(DEFAULT_TYPES[name]));
}

async function answerDelta(
  exchange: Exchange,
  target: ServedTarget,
  name: keyof typeof DEFAULT_TYPES,
  text: string,
): Promise<void> {
  const seconds = /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : 0n;
  if (seconds <= 0n || seconds > MAX_INT64) {
    throw new HttpError(400, 'invalid value for "seconds" - must be a positive integer');
  }
  if (exchange.integer('debug') !== 0) throw new HttpError(400, 'seconds and debug params are incompatible');
  const query = {
    seconds,
    defaultType: DEFAULT_TYPES[name],
    cAlone: isCAlone(exchange),
    cancel: exchange.gone,
  };
  sendProfile(exchange, `${name}-delta`, await windows.during(() => deltaProfile(target, query)));
}

function sendProfile(exchange: Exchange, filename: string, bytes: Uint8Array): void {
  const disposition = `attachment; filename="${filename}"`;
  exchange.send({ ...NO_SNIFF, 'Content-Type': 'application/octet-stream', 'Content-Disposition': disposition }, bytes);
}
