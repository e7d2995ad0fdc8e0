/**
 * /debug/pprof/ as net/http/pprof has it: which path is answered by what, in its order of checks.
 *
 * Source: net/http/pprof/pprof.go (handler.ServeHTTP, serveDeltaProfile), Go 1.26.
 */
import { type Exchange, HttpError, PLAIN_TEXT } from './exchange.js';
import type { ServedTarget } from './served-target.js';

const NO_SNIFF = { 'X-Content-Type-Options': 'nosniff' };

/** Profiles that are merged, and what viewers show first of them. */
const MERGED = { heap: '', allocs: 'alloc_space' } as const;

function isMerged(name: string): name is keyof typeof MERGED {
  return Object.hasOwn(MERGED, name);
}

/** @param name What follows /debug/pprof/. @throws HttpError or CgoprofError */
export async function answerPprof(exchange: Exchange, target: ServedTarget, name: string): Promise<void> {
  if (isMerged(name)) return answerHeap(exchange, target, name);
  throw new HttpError(404, 'Unknown profile');
}

async function answerHeap(exchange: Exchange, target: ServedTarget, name: keyof typeof MERGED): Promise<void> {
  if (exchange.query.get('seconds')) throw new HttpError(501, 'not built yet');
  const gc = name === 'heap' && exchange.integer('gc') > 0;
  if (exchange.integer('debug') !== 0) throw new HttpError(501, `not built yet ${PLAIN_TEXT}`);
  const snapshot = await target.snapshot({ gc });
  const body = await snapshot.encoded(MERGED[name]);
  exchange.send(
    {
      ...NO_SNIFF,
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': `attachment; filename="${name}"`,
    },
    body,
  );
}
