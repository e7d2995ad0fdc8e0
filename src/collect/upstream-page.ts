/** A small page of the service's, whole: bounded in bytes and in time. */
import type { IncomingMessage } from 'node:http';
import { CgoprofError } from '../errors.js';
import type { Upstream } from './upstream.js';

export interface PageLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

export interface SmallPage {
  /** Its Content-Type; '' without one. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

/**
 * @param name Below /debug/pprof/; '' for the index.
 * @param what To call it in errors.
 * @throws CgoprofError also when the service answers with anything but 200
 */
export async function fetchPage(
  upstream: Upstream,
  name: string,
  what: string,
  { maxBytes, timeoutMs }: PageLimits,
): Promise<SmallPage> {
  const noPage = (why: string, cause?: unknown) => new CgoprofError({ what, why, cause });
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await upstream.open(name, { method: 'GET', search: '' }, timeout);
    return { type: answer.headers['content-type'] ?? '', bytes: await readBody(answer, maxBytes, noPage) };
  } catch (error) {
    // What is called off ends as a connection that was closed.
    if (timeout.aborted) throw noPage(`not there within ${timeoutMs / 1000} seconds`, error);
    if (error instanceof CgoprofError) throw error;
    throw noPage('the answer ended early', error);
  }
}

/** @throws what `noPage` makes, and whatever ends the answer early */
async function readBody(
  answer: IncomingMessage,
  maxBytes: number,
  noPage: (why: string) => CgoprofError,
): Promise<Uint8Array> {
  try {
    if (answer.statusCode !== 200) throw noPage(`the server answered ${answer.statusCode} ${answer.statusMessage}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > maxBytes) throw noPage(`longer than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    answer.destroy();
  }
}
