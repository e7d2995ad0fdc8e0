/**
 * Answers with what the service's own net/http/pprof answers: as it comes, at the pace of whoever is slower, for as long as
 * the client listens.
 */
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Upstream } from '../collect/upstream.js';
import { CgoprofError } from '../errors.js';
import { type Exchange, type Headers, NO_SNIFF } from './exchange.js';

/**
 * Of the service's headers those that say what the body is. The others are of its connection (hop-by-hop), or for a
 * browser at its own address: Set-Cookie, WWW-Authenticate, Location.
 */
const CARRIED = [
  'Content-Type',
  'Content-Disposition',
  'Content-Encoding',
  'Content-Length',
  'X-Go-Pprof',
  'Allow',
] as const;

/** A page of the service's, should it answer with one, is not one of ours and may run nothing at our address. */
const AS_A_STRANGER = { ...NO_SNIFF, 'Content-Security-Policy': 'sandbox' };

/**
 * @param name Below /debug/pprof/, unescaped.
 * @param cancel Ends it; by default when the client is gone. A service may take as long as the client waits.
 * @throws CgoprofError, before anything is sent, when there is no answer
 */
export async function passThrough(
  exchange: Exchange,
  upstream: Upstream,
  name: string,
  cancel = exchange.gone,
): Promise<void> {
  const { request, response, url } = exchange;
  const method = request.method === 'HEAD' ? 'HEAD' : 'GET';
  const answer = await upstream.open(name, { method, search: url.search }, cancel);
  const refusal = whyNot(answer);
  if (refusal !== undefined) {
    answer.destroy();
    throw new CgoprofError({ what: upstream.nameOf(name), ...refusal });
  }
  response.writeHead(answer.statusCode ?? 0, { ...carried(answer), ...AS_A_STRANGER });
  response.flushHeaders();
  // An answer that is cut short is cut short for the client too, and the other way round: that ends both.
  await pipeline(answer, response).catch(() => {});
}

/** Why an answer is none. Redirections within the service have been followed. */
function whyNot({ statusCode = 0, headers }: IncomingMessage): { why: string; hint: string } | undefined {
  const hint = 'Give --go the address of the service’s net/http/pprof itself.';
  if (statusCode < 200 || statusCode > 599) return { why: `the service answered ${statusCode}`, hint };
  if (statusCode < 300 || statusCode > 399 || headers.location === undefined) return undefined;
  return { why: 'the service redirects to elsewhere, or without end, which is not followed', hint };
}

function carried({ headers }: IncomingMessage): Headers {
  const values = CARRIED.map((name) => [name, headers[name.toLowerCase()]] as const);
  return Object.fromEntries(values.filter((entry): entry is [(typeof CARRIED)[number], string] => isFit(entry[1])));
}

/** Whether Node would send it again: its parser takes more than it sends. */
function isFit(value: unknown): boolean {
  return typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}
