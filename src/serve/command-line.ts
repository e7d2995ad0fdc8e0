/**
 * /debug/pprof/cmdline: the service's own answer, and of a service that gives none what the kernel and the segment know.
 */
import { withinTime } from '../collect/within-time.js';
import { CgoprofError } from '../errors.js';
import { type Exchange, NO_SNIFF, PLAIN_TEXT } from './exchange.js';
import { GO_PATIENCE_MS } from './go-patience.js';
import { passThrough } from './pass-through.js';
import type { ServedTarget } from './served-target.js';

/** Words separated by NUL bytes, as Go's. @throws CgoprofError */
export async function answerCommandLine(exchange: Exchange, target: ServedTarget): Promise<void> {
  const { upstream } = target;
  try {
    if (upstream !== undefined) {
      return await withinTime(GO_PATIENCE_MS, exchange.gone, (signal) =>
        passThrough(exchange, upstream, 'cmdline', signal),
      );
    }
  } catch (error) {
    if (!(error instanceof CgoprofError)) throw error;
  }
  exchange.send({ ...NO_SNIFF, 'Content-Type': PLAIN_TEXT }, target.commandLine());
}
