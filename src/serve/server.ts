/**
 * The HTTP server: who may ask, and which part of it answers. Limits on clients that are slow, or do not finish what they
 * began, are node:http's own.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Context, say } from '../context.js';
import { CgoprofError, systemReason } from '../errors.js';
import { reportError } from '../present/error-lines.js';
import { Exchange, HttpError } from './exchange.js';
import { answerPprof } from './pprof-routes.js';
import type { ServedTarget } from './served-target.js';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What is served. */
export interface Site {
  /** In the order of the command line; the first one also answers without /p/NAME. */
  readonly targets: readonly ServedTarget[];
}

const PPROF = '/debug/pprof/';

type Page = (exchange: Exchange, site: Site) => Promise<void>;

/** Of all targets together, by path. */
const PAGES: ReadonlyMap<string, Page> = new Map([]);

async function answer(exchange: Exchange, site: Site): Promise<void> {
  const page = PAGES.get(exchange.path);
  if (page !== undefined) return page(exchange, site);
  const { target, path } = pickTarget(exchange.path, site);
  if (path.startsWith(PPROF)) return answerPprof(exchange, target, path.slice(PPROF.length));
  throw new HttpError(404, '404 page not found');
}

/** /p/NAME/... is of that target, anything else of the first. */
function pickTarget(path: string, { targets }: Site): { target: ServedTarget; path: string } {
  const [first] = targets;
  const named = /^\/p\/([^/]+)(\/.*)$/.exec(path);
  const target = named === null ? first : targets.find(({ name }) => name === named[1]);
  if (target === undefined) throw new HttpError(404, '404 page not found');
  return { target, path: named?.[2] ?? path };
}

/** What went wrong, for the client; a defect of ours is told to our own user. */
function asHttpError(context: Context, error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof CgoprofError) {
    const hint = error.hint === '' ? '' : `\n  ${error.hint}`;
    return new HttpError(502, `cgoprof: ${error.message}${hint}`);
  }
  context.writeErr(reportError(error, context.env).text);
  return new HttpError(500, 'cgoprof: internal error; its own log tells more');
}

/** @returns once it listens. @throws CgoprofError when it cannot */
export async function startServer(context: Context, site: Site, { host, port }: ListenAddress): Promise<Server> {
  const server = createServer((request, response) => {
    const url = new URL(`http://localhost${request.url?.startsWith('/') ? request.url : '/'}`);
    const exchange = new Exchange(request, response, url, url.pathname);
    answer(exchange, site).catch((error: unknown) => exchange.fail(asHttpError(context, error)));
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new CgoprofError({ what: `--listen ${host}:${port}`, why: systemReason(error), cause: error }));
    server.once('error', fail).listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
  return server;
}

/** http://HOST:PORT, as it listens. */
export function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

export function sayWhereItListens(context: Context, server: Server): void {
  const url = urlOf(server);
  say(context, `listening on ${url}; look at it: go tool pprof ${url}/debug/pprof/heap`);
}
