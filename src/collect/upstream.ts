/**
 * The service's own net/http/pprof, behind ours: its heap profile as bytes, and everything else as it comes. Asked only
 * where --go points; a redirection to another origin is not followed.
 */
import type { IncomingMessage } from 'node:http';
import { CgoprofError, usageError } from '../errors.js';
import {
  DEFAULT_LIMITS,
  describeGoSource,
  type FetchLimits,
  fetchGoHeap,
  type GoHeapBytes,
  openAnswer,
  parseGoSource,
} from './go-heap.js';

export interface HeapQuery {
  /** Collect first. */
  readonly gc: boolean;
  /** What changes within so many seconds; undefined: what there is. */
  readonly seconds?: bigint | undefined;
}

export interface PageQuery {
  readonly method: 'GET' | 'HEAD';
  /** With its question mark, or ''. */
  readonly search: string;
}

/** A profile may be taken for as long as the client asks; the rest is as for a heap profile. */
const STREAM_LIMITS: FetchLimits = { ...DEFAULT_LIMITS, staysAtOrigin: true, maxBytes: 64 * 2 ** 20 };

/** Timers of Node's cannot be longer: 24 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export class Upstream {
  /** .../debug/pprof/, with what credentials it was given. */
  readonly #base: URL;

  /**
   * @param mayBeAsked Throws when it may not: called before each question, whatever it is.
   * @throws CgoprofError (usage) unless `text` is an http or https URL
   */
  constructor(
    text: string,
    private readonly mayBeAsked: () => void = () => {},
  ) {
    const source = parseGoSource(text, { gc: false });
    if (source.kind !== 'url') {
      throw usageError(
        `--go ${text}`,
        'not a URL: a service is asked again and again',
        withScheme(text) ?? 'Such as http://127.0.0.1:6060.',
      );
    }
    this.#base = baseOf(source.url);
  }

  /** Fit to be shown: without a password. */
  get name(): string {
    return describeGoSource({ kind: 'url', url: this.#base });
  }

  /** @throws CgoprofError */
  async heap({ gc, seconds }: HeapQuery, cancel?: AbortSignal): Promise<GoHeapBytes> {
    const url = this.#asked('heap');
    if (gc) url.searchParams.set('gc', '1');
    if (seconds !== undefined) url.searchParams.set('seconds', String(seconds));
    const timeoutMs = Math.min(DEFAULT_LIMITS.timeoutMs + 1_000 * Number(seconds ?? 0), MAX_TIMER_MS);
    return fetchGoHeap({ kind: 'url', url }, { ...STREAM_LIMITS, timeoutMs }, cancel);
  }

  /**
   * A whole page, such as a heap profile in text form.
   *
   * @param search With its question mark, or ''.
   * @throws CgoprofError also when the service answers with an error
   */
  async read(name: string, search: string, maxBytes: number, cancel?: AbortSignal): Promise<GoHeapBytes> {
    const url = this.#asked(name);
    url.search = search;
    return fetchGoHeap({ kind: 'url', url }, { ...STREAM_LIMITS, maxBytes }, cancel);
  }

  /**
   * Any of its pages, whatever its status, to be read by the caller. Redirections within the service are followed; it may
   * answer with one that leads elsewhere.
   *
   * @param name Below /debug/pprof/, unescaped, such as 'goroutine' or 'example.org/pool.buffers'; '' for the index.
   * @param cancel Ends the request, and the body too.
   * @throws CgoprofError when there is no answer, or no page can have that name
   */
  async open(name: string, { method, search }: PageQuery, cancel: AbortSignal): Promise<IncomingMessage> {
    const url = this.#asked(name);
    url.search = search;
    return openAnswer({ method, url }, STREAM_LIMITS, cancel);
  }

  /** A page's address, fit to be shown. @throws CgoprofError when no page can have that name */
  nameOf(name: string): string {
    return describeGoSource({ kind: 'url', url: this.#url(name) });
  }

  #asked(name: string): URL {
    this.mayBeAsked();
    return this.#url(name);
  }

  /** Each part of a name is one part of the path: none leads out of /debug/pprof/. */
  #url(name: string): URL {
    if (!isPageName(name)) throw new CgoprofError({ what: name, why: 'not a profile’s name' });
    return new URL(name.split('/').map(encodeURIComponent).join('/'), this.#base);
  }
}

/** A hint for who left out http://: HOST:PORT, as `curl` takes it, :PORT as Go listens, or a port. */
export function withScheme(text: string): string | undefined {
  const [, host = '', port = '', path = ''] = /^(?:(\[[\da-f:.]+\]|[\w.-]+)?:)?(\d{1,5})(\/.*)?$/i.exec(text) ?? [];
  return port === '' ? undefined : `Add http://, as in --go http://${host || '127.0.0.1'}:${port}${path}`;
}

const PPROF = '/debug/pprof/';

/** .../debug/pprof/ of any page below it, whose query is about that page alone. */
function baseOf(page: URL): URL {
  const base = new URL(page);
  base.pathname = page.pathname.slice(0, page.pathname.lastIndexOf(PPROF)) + PPROF;
  base.search = '';
  base.hash = '';
  return base;
}

/** Whether a page below /debug/pprof/ may be called that; '' is the index. */
export function isPageName(name: string): boolean {
  const isPart = (part: string) => part !== '' && part !== '.' && part !== '..';
  return name === '' || (/^[^\p{Cc}\p{Cs}\\%?#]*$/u.test(name) && name.split('/').every(isPart));
}
