/** ?go=none: the C side alone, for when the service refuses, or does not answer. */
import { NoProcessYet } from '../collect/target-sources.js';
import { CgoprofError } from '../errors.js';
import { type Exchange, HttpError } from './exchange.js';

/** For whoever finds such a profile later. */
export const C_ALONE_NOTE = 'the C side alone, as go=none asks for: what Go allocated is not in it';

/** @throws HttpError 400 for anything else: whoever misspells it would have the service asked. */
export function isCAlone({ query }: Exchange): boolean {
  const go = query.get('go');
  if (go !== null && go !== 'none') throw new HttpError(400, 'invalid value for go: only none, for the C side alone');
  return go === 'none';
}

/** A failure of the Go side, with the way to what there is without it. */
export function withWayToC(error: unknown): unknown {
  if (!(error instanceof CgoprofError) || error instanceof NoProcessYet) return error;
  const hint = `${error.hint} The C side alone is at ?go=none.`.trim();
  return new CgoprofError({ what: '', why: error.message, hint, cause: error });
}
