/**
 * What a request asks for: its target, as the client spelled it. Paths are names in tables of ours and never those of
 * files; one with bytes that no client of good will sends is refused.
 */
import { HttpError } from './exchange.js';

export interface RequestTarget {
  readonly url: URL;
  /** As it was sent: the URL's own has no dots, which lead elsewhere. */
  readonly path: string;
}

const PLAIN = /^\/(?:[!-"$&-[\]-~]|%[0-9a-f]{2})*$/i;

/** Bytes that are no part of a name, and dots in disguise: behind a slash, whole segments of them. */
const DISGUISED = /%00|\/\.?%2e(?:\.|%2e)?(?:\/|$)/i;

/** @param target /PATH?QUERY, or with http://HOST before it as to a proxy. @throws HttpError 400 */
export function requestTarget(target: string): RequestTarget {
  const local = target.replace(/^https?:\/\/[^/?#]*/i, '');
  const [path = ''] = local.split('?', 1);
  if (!PLAIN.test(path) || DISGUISED.test(path)) throw new HttpError(400, 'malformed request target');
  return { url: new URL(`http://localhost${local}`), path };
}
