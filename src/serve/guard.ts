/**
 * Who may ask. Without a token everybody who can connect may, which on the loopback interface is everybody on this
 * machine; but no web page that one of them has open in a browser.
 *
 *  - DNS rebinding: a page of another site has its own name lead to this address, and reads what comes. Its requests bear
 *    that name as their Host; we answer to names that are ours alone. With a token it cannot have any answer.
 *  - Requests across sites: a page can send them, though it cannot read what comes, and a profile costs the service
 *    something. Browsers say whence a request comes (Sec-Fetch-Site, Origin). A link that somebody follows is no such
 *    request: the page stands in a window of its own then, to be seen.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { HttpError } from './exchange.js';
import type { TokenFile } from './token-file.js';

export interface GuardOptions {
  /** What --listen and --allow-host name. */
  readonly hosts: readonly string[];
  /** Undefined: no token is asked for. */
  readonly token: Pick<TokenFile, 'accepts'> | undefined;
}

export class Guard {
  readonly #hosts: ReadonlySet<string>;

  constructor(private readonly options: GuardOptions) {
    this.#hosts = new Set(['localhost', ...options.hosts.map(comparable)]);
  }

  /** @throws HttpError for whoever may not, or does not say what browsers and clients say */
  admit(request: IncomingMessage): void {
    const authority = authorityOf(request);
    if (authority !== undefined) this.#checkHost(authority);
    checkOrigin(request, authority);
    this.#checkToken(request);
  }

  #checkHost(authority: string): void {
    const name = hostName(authority);
    if (name === undefined) throw new HttpError(400, 'malformed Host header');
    if (this.options.token !== undefined || isIP(name) !== 0 || this.#hosts.has(comparable(name))) return;
    throw new HttpError(
      421,
      `cgoprof: not served under the name ${name}: use an address or localhost, or allow it: cgoprof serve --allow-host ${name}`,
    );
  }

  #checkToken({ headers }: IncomingMessage): void {
    const { token } = this.options;
    if (token === undefined || token.accepts(shownToken(headers.authorization ?? ''))) return;
    throw new HttpError(
      401,
      'cgoprof: a token is needed: as the password, http://x:TOKEN@HOST:PORT/..., or as Authorization: Bearer TOKEN',
      { 'WWW-Authenticate': 'Basic realm="cgoprof", Bearer realm="cgoprof"' },
    );
  }
}

/** Whom a request is meant for: HOST[:PORT]. Undefined in HTTP/1.0, which no browser speaks. */
function authorityOf({
  url = '',
  headersDistinct,
  httpVersionMajor,
  httpVersionMinor,
}: IncomingMessage): string | undefined {
  const [host, ...more] = headersDistinct.host ?? [];
  if (more.length > 0) throw new HttpError(400, 'too many Host headers');
  if (host === undefined && (httpVersionMajor > 1 || httpVersionMinor > 0)) {
    throw new HttpError(400, 'missing required Host header');
  }
  // As sent to a proxy; RFC 9112, 3.2.2: the Host is then ignored.
  return /^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? host;
}

/** Without the port, and the brackets of an IPv6 address; undefined when it is no host. */
function hostName(authority: string): string | undefined {
  const [, address, name] = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i.exec(authority) ?? [];
  if (address !== undefined) return isIP(address) === 6 ? address : undefined;
  return name;
}

/** A name may end in the dot of the root. */
function comparable(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function checkOrigin({ headers, method = '' }: IncomingMessage, authority: string | undefined): void {
  const site = headers['sec-fetch-site'];
  const isLink =
    ['GET', 'HEAD'].includes(method) &&
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document';
  const isOurs = site === undefined || site === 'same-origin' || site === 'none' || isLink;
  if (isOurs && isSameOrigin(headers.origin, authority)) return;
  throw new HttpError(403, 'cgoprof: refused: the request comes from a page of another site');
}

/** Of a proxy before us that speaks HTTPS, the scheme is not ours: the host tells. */
function isSameOrigin(origin: string | undefined, authority = ''): boolean {
  return origin === undefined || /^https?:\/\/(.*)$/i.exec(origin)?.[1]?.toLowerCase() === authority.toLowerCase();
}

/** `Bearer TOKEN`, or the password of `Basic`. */
function shownToken(authorization: string): string {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== 'basic') return value;
  const pair = Buffer.from(value, 'base64').toString('latin1');
  return pair.slice(pair.indexOf(':') + 1);
}
