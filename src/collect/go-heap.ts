/**
 * Fetches the Go side: a heap profile from a service's net/http/pprof, or from a file. The answer is taken as bytes; what
 * they hold is for src/merge to say.
 */
import { statSync } from 'node:fs';
import { CgoprofError, errorCode, oneLine, systemReason, usageError } from '../errors.js';
import { readProfileInput } from './profile-input.js';

export type GoSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: URL };

export interface GoHeapBytes {
  /** Where it came from, fit to be shown: without a password. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** When it was taken, as far as we can know. */
  readonly takenAt: Date;
}

const ENABLE_HINT =
  'The service needs `import _ "net/http/pprof"` and an HTTP server; --go none leaves the Go side out.';

/** `none`, a URL or a file. A base URL stands for its /debug/pprof/heap. @throws CgoprofError (usage) */
export function parseGoSource(text: string, options: { readonly gc: boolean }): GoSource {
  if (!/^https?:\/\//i.test(text)) {
    if (options.gc) throw usageError('--gc', 'only a service can be asked to collect, and --go is not a URL');
    return text === 'none' ? { kind: 'none' } : { kind: 'file', path: text };
  }
  if (!URL.canParse(text)) throw usageError(`--go ${text}`, 'not a URL', 'Such as http://127.0.0.1:6060.');
  const url = new URL(text);
  const path = url.pathname.replace(/\/+$/, '');
  if (!path.includes('/debug/pprof')) url.pathname = `${path}/debug/pprof/heap`;
  else if (path.endsWith('/debug/pprof')) url.pathname = `${path}/heap`;
  if (options.gc) url.searchParams.set('gc', '1');
  return { kind: 'url', url };
}

/** The source in words: `none`, a path, or a URL without its password. */
export function describeGoSource(source: GoSource): string {
  if (source.kind === 'none') return 'none';
  return source.kind === 'file' ? source.path : withoutCredentials(source.url).href;
}

export interface FetchLimits {
  /** For the whole answer, milliseconds. */
  readonly timeoutMs: number;
  /** More is not a heap profile: a big service's has some megabytes. */
  readonly maxBytes: number;
}

export const DEFAULT_LIMITS: FetchLimits = { timeoutMs: 30_000, maxBytes: 512 * 2 ** 20 };

/** @throws CgoprofError, whatever goes wrong on the way */
export async function fetchGoHeap(
  source: Exclude<GoSource, { kind: 'none' }>,
  limits: FetchLimits = DEFAULT_LIMITS,
  cancel?: AbortSignal,
): Promise<GoHeapBytes> {
  return source.kind === 'file' ? readGoHeapFile(source.path, limits) : get(source.url, limits, cancel);
}

async function get(address: URL, limits: FetchLimits, cancel: AbortSignal | undefined): Promise<GoHeapBytes> {
  const url = withoutCredentials(address);
  const timeout = AbortSignal.timeout(limits.timeoutMs);
  const signal = cancel ? AbortSignal.any([timeout, cancel]) : timeout;
  try {
    const response = await fetch(url, { signal, headers: authorization(address) });
    if (!response.ok) {
      await response.body?.cancel();
      throw new CgoprofError({ what: `Go heap profile ${url.href}`, ...whyRefused(response) });
    }
    return { name: url.href, bytes: await readBody(url.href, response, limits.maxBytes), takenAt: new Date() };
  } catch (error) {
    throw error instanceof CgoprofError ? error : explainFetchError(url.href, error, limits);
  }
}

function readGoHeapFile(path: string, limits: FetchLimits): GoHeapBytes {
  const what = `Go heap profile ${path}`;
  try {
    const bytes = readProfileInput(path, limits.maxBytes);
    if (bytes !== 'segment') return { name: path, bytes, takenAt: statSync(path).mtime };
  } catch (error) {
    throw new CgoprofError({ what, why: systemReason(error), hint: fileHint(path, error), cause: error });
  }
  throw new CgoprofError({ what, why: 'a segment, the C side', hint: "'cgoprof merge' takes segments." });
}

function fileHint(path: string, error: unknown): string {
  const looksLikeAddress = errorCode(error) === 'ENOENT' && /^[\w.-]*:\d+(\/|$)/.test(path);
  if (!looksLikeAddress) return '--go takes a URL, the file of a heap profile, or none.';
  return `A service is given as a URL: --go http://${path.startsWith(':') ? `localhost${path}` : path}`;
}

function whyRefused(response: Response): { why: string; hint: string } {
  const why = `the server answered ${oneLine(`${response.status} ${response.statusText}`)}`;
  if (response.status === 404) return { why, hint: ENABLE_HINT };
  if (response.status === 401 || response.status === 403) {
    return { why, hint: 'Give credentials in the URL: http://USER:PASSWORD@HOST/.' };
  }
  if (response.status === 400 && response.url.startsWith('http:')) {
    return { why, hint: 'It may want HTTPS: give an https:// URL.' };
  }
  return { why, hint: 'Look at the address in a browser.' };
}

async function readBody(name: string, response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw tooLong(name, maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLong(name: string, maxBytes: number): CgoprofError {
  return new CgoprofError({
    what: `Go heap profile ${name}`,
    why: `longer than ${maxBytes / 2 ** 20} MiB`,
    hint: 'That is no heap profile; check the address.',
  });
}

const NETWORK_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the server closed the connection before it had answered',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name could not be looked up',
  ETIMEDOUT: 'the host does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
  UND_ERR_SOCKET: 'the answer ended early: only a part of the profile came',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer ended early: only a part of the profile came',
};

function explainFetchError(name: string, error: unknown, limits: FetchLimits): CgoprofError {
  const what = `Go heap profile ${name}`;
  if ((error as Error).name === 'TimeoutError') {
    return new CgoprofError({
      what,
      why: `no answer within ${limits.timeoutMs / 1000} s`,
      hint: 'Is the service stopped, or too busy to answer?',
      cause: error,
    });
  }
  const root = rootCause(error);
  const code = errorCode(root);
  const why = NETWORK_REASONS[code] ?? oneLine(root instanceof Error ? root.message : String(root));
  return new CgoprofError({ what, why, hint: networkHint(code, why), cause: error });
}

function networkHint(code: string, why: string): string {
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return 'The server speaks plain HTTP: give an http:// URL.';
  }
  if (/CERT|SELF_SIGNED|certificate/i.test(`${code} ${why}`)) {
    return 'Name the authority that signed it: NODE_EXTRA_CA_CERTS=FILE cgoprof ...';
  }
  if (code === 'ECONNREFUSED') return `Is the service listening there? ${ENABLE_HINT}`;
  if (/^(ECONNRESET|UND_ERR_(SOCKET|RES_CONTENT_LENGTH_MISMATCH))$/.test(code))
    return 'Try again; did the service end meanwhile?';
  return 'Check the address.';
}

/** fetch wraps what happened in a TypeError; several addresses tried make an AggregateError of the same refusal. */
function rootCause(error: unknown): unknown {
  let root = error;
  for (let depth = 0; depth < 5; depth++) {
    const inner = root instanceof AggregateError ? root.errors[0] : (root as Error).cause;
    if (!(inner instanceof Error)) break;
    root = inner;
  }
  return root;
}

function withoutCredentials(url: URL): URL {
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain;
}

function authorization(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = percentDecoded(`${url.username}:${url.password}`);
  return { authorization: `Basic ${Buffer.from(pair, 'latin1').toString('base64')}` };
}

/** Each character a byte. Unlike decodeURIComponent, leaves a % alone that begins nothing, as curl does. */
function percentDecoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
