/**
 * The HTTP server: which part of it answers a request, and what becomes of one that cannot be answered.
 */
import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
import { NoProcessYet } from '../collect/target-sources.js';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';
import { cleanPath, redirect } from './clean-path.js';
import { DefectLog } from './defect-log.js';
import { Exchange, HttpError } from './exchange.js';
import type { Guard } from './guard.js';
import { type ListenAddress, listen, type Patience } from './listen.js';
import { answerLiveData, type LiveTargets } from './live-data.js';
import { answerLivePage, LIVE_PATHS } from './live-page.js';
import { LIVE_DATA } from './live-state.js';
import { answerMetrics, type MetricsPage } from './metrics.js';
import { answerPprof, answerWithoutSlash } from './pprof-routes.js';
import { type RequestTarget, requestTarget } from './request-target.js';
import type { ServedTarget } from './served-target.js';
import { Unread } from './unread.js';

/** What is served. */
export interface Site {
  /** In the order of the command line; the first one also answers without /p/NAME. */
  readonly targets: readonly ServedTarget[];
  readonly live: LiveTargets;
  readonly metrics: MetricsPage;
}

const PPROF = '/debug/pprof/';

type Page = (exchange: Exchange, site: Site) => Promise<void>;

/** Of all targets together, by path. */
const PAGES: ReadonlyMap<string, Page> = new Map([
  ...LIVE_PATHS.map((path): [string, Page] => [path, answerLivePage]),
  [`/${LIVE_DATA}`, (exchange, { live }) => answerLiveData(exchange, live)],
  ['/metrics', (exchange, { metrics }) => answerMetrics(exchange, metrics)],
]);

/** Of pages that net/http/pprof does not have. What one of them needs beyond, it says itself. */
const PAGE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy':
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};

async function answer(exchange: Exchange, site: Site): Promise<void> {
  const clean = cleanPath(exchange.path);
  if (clean !== exchange.path) return redirect(exchange, clean);
  const page = PAGES.get(exchange.path);
  if (page !== undefined) {
    refuseOtherMethods(exchange);
    for (const [name, value] of Object.entries(PAGE_HEADERS)) exchange.response.setHeader(name, value);
    return page(exchange, site);
  }
  const { target, path } = pickTarget(exchange.path, site);
  if (path === '' || path === '/') {
    refuseOtherMethods(exchange);
    return redirect(exchange, `/p/${target.name}${PPROF}`);
  }
  if (`${path}/` === PPROF) return answerWithoutSlash(exchange);
  if (path.startsWith(PPROF)) return answerPprof(exchange, target, path.slice(PPROF.length), site.targets);
  throw new HttpError(404, '404 page not found');
}

/** Nothing here is changed by a request. */
function refuseOtherMethods({ request: { method } }: Exchange): void {
  if (method !== 'GET' && method !== 'HEAD') throw new HttpError(405, 'Method Not Allowed', { Allow: 'GET, HEAD' });
}

/** /p/NAME and /p/NAME/... are of that target, anything else of the first. */
function pickTarget(path: string, { targets }: Site): { target: ServedTarget; path: string } {
  const [first] = targets;
  const named = /^\/p\/([^/]+)(\/.*|)$/.exec(path);
  const target = named === null ? first : targets.find(({ name }) => name === named[1]);
  if (target === undefined) throw new HttpError(404, `404 page not found\n  ${whatThereIs(targets)}`);
  return { target, path: named?.[2] ?? path };
}

function whatThereIs(targets: readonly ServedTarget[]): string {
  return `There is ${targets.map(({ name }) => `/p/${name}/`).join(', ')}.`;
}

/** Requests of one connection that wait for their answers: who sends more at once wants to be in the way. */
export const MAX_PIPELINED = 32;

const NOWHERE = requestTarget('/');

/** Answers requests; those that cannot be answered with words about why. Nothing that goes wrong in one ends the process. */
class Answerer {
  readonly #unread = new Unread();
  readonly #waiting = new WeakMap<Socket, number>();
  readonly #defects: DefectLog;

  constructor(
    context: Context,
    private readonly site: Site,
    private readonly guard: Guard,
  ) {
    this.#defects = new DefectLog(context);
  }

  readonly answer: RequestListener = (request, response) => {
    const { socket } = request;
    if (this.#count(socket, 1) > MAX_PIPELINED) {
      socket.destroy();
      return;
    }
    response.once('close', () => this.#count(socket, -1));
    const exchange = ({ url, path }: RequestTarget) => new Exchange(request, response, url, path, this.#unread);
    try {
      this.guard.admit(request);
      void this.#answer(exchange(requestTarget(request.url ?? '')));
    } catch (error) {
      exchange(NOWHERE).fail(this.#asHttpError(error));
    }
  };

  #count(socket: Socket, change: number): number {
    const waiting = (this.#waiting.get(socket) ?? 0) + change;
    this.#waiting.set(socket, waiting);
    return waiting;
  }

  async #answer(exchange: Exchange): Promise<void> {
    try {
      await answer(exchange, this.site);
    } catch (error) {
      // What a client that has left called off is no error.
      if (!exchange.gone.aborted) exchange.fail(this.#asHttpError(error));
    }
  }

  /** What went wrong, for the client; a defect of ours is told to our own user. */
  #asHttpError(error: unknown): HttpError {
    if (error instanceof HttpError) return error;
    if (error instanceof CgoprofError) {
      const hint = error.hint === '' ? '' : `\n  ${error.hint}`;
      return new HttpError(error instanceof NoProcessYet ? 503 : 502, `cgoprof: ${error.message}${hint}`);
    }
    this.#defects.tell(error);
    return new HttpError(500, 'cgoprof: internal error; its own log tells more');
  }
}

/** @returns once it listens. @throws CgoprofError when it cannot */
export function startServer(
  context: Context,
  site: Site,
  address: ListenAddress,
  guard: Guard,
  patience?: Patience,
): Promise<Server> {
  return listen(new Answerer(context, site, guard).answer, address, patience);
}
