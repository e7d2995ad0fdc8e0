/**
 * One request and its response, in the words of net/http/pprof: the same headers, and errors such that `go tool pprof`
 * prints their text.
 *
 * Source: net/http/pprof/pprof.go (serveError), Go 1.26.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseGoQuery } from './go-query.js';
import { Unread } from './unread.js';

export const PLAIN_TEXT = 'text/plain; charset=utf-8';

/** Of every page of net/http/pprof. */
export const NO_SNIFF = { 'X-Content-Type-Options': 'nosniff' };

export type Headers = Readonly<Record<string, string>>;

/** A request that cannot be answered: ends as an error that `go tool pprof` prints. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Headers = {},
  ) {
    super(message);
  }
}

export class Exchange {
  readonly query: URLSearchParams;
  readonly #gone = new AbortController();

  /**
   * @param path What is left of the path for whoever handles it: without `/p/NAME`.
   * @param unread Where whole answers are counted while the client takes them.
   */
  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly url: URL,
    readonly path: string,
    private readonly unread = new Unread(),
  ) {
    this.query = parseGoQuery(url.search);
    response.on('close', () => this.#gone.abort());
  }

  /** Aborted once the response is over, or the client is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** strconv.Atoi of a parameter, whose error is ignored: one out of range is as large as there is room for. */
  integer(name: string): number {
    const text = this.query.get(name) ?? '';
    return /^[+-]?\d+$/.test(text) ? Number(text) : 0;
  }

  /** A whole answer. Content-Length is set; a HEAD request gets no body. */
  send(headers: Headers, body: string | Uint8Array, status = 200): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.response.writeHead(status, { ...headers, 'Content-Length': bytes.length });
    if (this.request.method === 'HEAD') {
      this.response.end();
      return;
    }
    this.response.end(bytes);
    this.unread.add(this.response, bytes);
  }

  /** As serveError of net/http/pprof. After the first byte of an answer only its end can tell. */
  fail(error: unknown): void {
    if (this.response.headersSent) {
      this.response.destroy();
      return;
    }
    const { status, message, headers } = error instanceof HttpError ? error : new HttpError(500, 'internal error');
    for (const name of this.response.getHeaderNames()) this.response.removeHeader(name);
    const common = { ...NO_SNIFF, 'X-Go-Pprof': '1', 'Content-Type': PLAIN_TEXT };
    this.send({ ...common, ...headers }, `${message}\n`, status);
  }
}
