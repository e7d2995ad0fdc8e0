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
  readonly seconds?: number | undefined;
}

/** A profile may be taken for as long as the client asks; the rest is as for a heap profile. */
const STREAM_LIMITS: FetchLimits = { ...DEFAULT_LIMITS, staysAtOrigin: true };

export class Upstream {
  /** .../debug/pprof/, with what credentials it was given. */
  readonly #base: URL;

  /** @throws CgoprofError (usage) unless `text` is an http or https URL */
  constructor(text: string) {
    const source = parseGoSource(text, { gc: false });
    if (source.kind !== 'url') {
      throw usageError(
        `--go ${text}`,
        'not a URL: a service is asked again and again',
        'Such as http://127.0.0.1:6060.',
      );
    }
    this.#base = new URL('.', source.url);
    this.#base.search = '';
  }

  /** Fit to be shown: without a password. */
  get name(): string {
    return describeGoSource({ kind: 'url', url: this.#base });
  }

  /** @throws CgoprofError */
  heap({ gc, seconds }: HeapQuery, cancel?: AbortSignal): Promise<GoHeapBytes> {
    const url = this.#url('heap');
    if (gc) url.searchParams.set('gc', '1');
    if (seconds !== undefined) url.searchParams.set('seconds', String(seconds));
    const timeoutMs = DEFAULT_LIMITS.timeoutMs + 1_000 * (seconds ?? 0);
    return fetchGoHeap({ kind: 'url', url }, { ...STREAM_LIMITS, timeoutMs }, cancel);
  }

  /**
   * Any of its pages, whatever its status: not to be followed by us, and read by the caller.
   *
   * @param name Below /debug/pprof/, such as 'goroutine'; '' for the index.
   * @param search With its question mark, or ''.
   * @throws CgoprofError when there is no answer
   */
  open(name: string, search: string, cancel: AbortSignal): Promise<IncomingMessage> {
    if (!/^[\w.-]*$/.test(name) || /^\.+$/.test(name))
      throw new CgoprofError({ what: name, why: 'not a profile’s name' });
    const url = this.#url(name);
    url.search = search;
    return openAnswer(url, STREAM_LIMITS, cancel);
  }

  #url(name: string): URL {
    return new URL(name, this.#base);
  }
}
