/**
 * The words with which a service says it was started.
 *
 * Source: net/http/pprof/pprof.go (Cmdline), Go 1.26.
 */
import { CgoprofError } from '../errors.js';
import type { Upstream } from './upstream.js';
import { fetchPage } from './upstream-page.js';

/** Linux takes 128 KiB of a word. */
const MAX_BYTES = 2 ** 20;

/** Separated by NUL bytes; undefined when it says nothing, or nothing like that. @param timeoutMs Then it has said nothing */
export async function fetchCommandLine(upstream: Upstream, timeoutMs: number): Promise<Uint8Array | undefined> {
  try {
    const page = await fetchPage(upstream, 'cmdline', 'its command line', { maxBytes: MAX_BYTES, timeoutMs });
    return page.type.startsWith('text/plain') && page.bytes.length > 0 ? page.bytes : undefined;
  } catch (error) {
    if (error instanceof CgoprofError) return undefined;
    throw error;
  }
}
