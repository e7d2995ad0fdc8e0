/**
 * Fetches the Go side: a heap profile from a service's net/http/pprof, or from a file. The answer is taken as bytes; what
 * they hold is for src/merge to say.
 */
import { statSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { CgoprofError, errorCode, oneLine, systemReason, usageError } from '../errors.js';
import { readProfileInput } from './profile-input.js';
import { withinTime } from './within-time.js';

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

const NEEDED = 'The service needs `import _ "net/http/pprof"` and an HTTP server';
const ENABLE_HINT = `${NEEDED}; --go none leaves the Go side out.`;
const END_HINT = 'Try again; did the service end meanwhile?';

/** `none`, a URL or a file. A base URL stands for its /debug/pprof/heap. @throws CgoprofError (usage) */
export function parseGoSource(text: string, options: { readonly gc: boolean }): GoSource {
  if (!/^https?:\/\//i.test(text)) {
    if (options.gc) throw usageError('--gc', 'only a service can be asked to collect, and --go is not a URL');
    return text === 'none' ? { kind: 'none' } : { kind: 'file', path: text };
  }
  if (!URL.canParse(text)) throw usageError(`--go ${text}`, 'not a URL', 'Such as http://127.0.0.1:6060.');
  const url = new URL(text);
  const path = url.pathname.replace(/\/+$/, '');
  if (!/\/debug\/pprof(\/|$)/.test(path)) url.pathname = `${path}/debug/pprof/heap`;
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
  /** For the connection, milliseconds: a host that is not there is known sooner than a service that is busy. */
  readonly connectMs: number;
  /** More is not a heap profile: a big service's has some megabytes. */
  readonly maxBytes: number;
  /** Follow redirections to the same origin alone. */
  readonly staysAtOrigin?: boolean;
}

export const DEFAULT_LIMITS: FetchLimits = { timeoutMs: 30_000, connectMs: 10_000, maxBytes: 512 * 2 ** 20 };

/** @throws CgoprofError, whatever goes wrong on the way */
export async function fetchGoHeap(
  source: Exclude<GoSource, { kind: 'none' }>,
  limits: FetchLimits = DEFAULT_LIMITS,
  cancel?: AbortSignal,
): Promise<GoHeapBytes> {
  return source.kind === 'file' ? readGoHeapFile(source.path, limits) : get(source.url, limits, cancel);
}

function get(address: URL, limits: FetchLimits, cancel: AbortSignal | undefined): Promise<GoHeapBytes> {
  return withinTime(limits.timeoutMs, cancel, (signal) => getUntil(address, limits, signal));
}

async function getUntil(address: URL, limits: FetchLimits, signal: AbortSignal): Promise<GoHeapBytes> {
  const name = withoutCredentials(address).href;
  try {
    const answer = await askAndFollow(address, limits, signal);
    if (answer.status < 200 || answer.status > 299) {
      const refusal = whyRefused(answer);
      const words = await refusalWords(answer.response);
      const said = words === '' ? refusal : { why: `${refusal.why}: ${words}` };
      throw new CgoprofError({ what: `Go heap profile ${name}`, ...said });
    }
    return { name, bytes: await readBody(name, answer.response, limits.maxBytes), takenAt: new Date() };
  } catch (error) {
    // What is called off ends as a connection that was closed.
    if (signal.aborted) throw explainNetworkError(`Go heap profile ${name}`, signal.reason, limits);
    throw error instanceof CgoprofError ? error : explainNetworkError(`Go heap profile ${name}`, error, limits);
  }
}

export interface Page {
  readonly method: 'GET' | 'HEAD';
  readonly url: URL;
}

/**
 * Whatever a server answers, redirections of its own followed; the body is for the caller to read.
 *
 * @throws CgoprofError when there is no answer
 */
export async function openAnswer(
  { method, url }: Page,
  limits: FetchLimits,
  cancel: AbortSignal,
): Promise<http.IncomingMessage> {
  try {
    return (await askAndFollow(url, limits, cancel, method)).response;
  } catch (error) {
    // Of a page that has no other side.
    throw explainNetworkError(withoutCredentials(url).href, error, limits, `${NEEDED}.`);
  }
}

interface Answer {
  readonly response: http.IncomingMessage;
  readonly status: number;
  /** Who gave it: the end of the redirections. */
  readonly url: URL;
}

/** As many as fetch and browsers follow. */
const MAX_REDIRECTIONS = 20;

/** The answer to which the address leads. Credentials are for the server to which they were given: its origin. */
async function askAndFollow(
  address: URL,
  limits: FetchLimits,
  signal: AbortSignal,
  method: Page['method'] = 'GET',
): Promise<Answer> {
  let url = withoutCredentials(address);
  let credentials = authorization(address);
  for (let followed = 0; ; followed++) {
    const answer = await ask({ method, url }, credentials, limits.connectMs, signal);
    const next = redirection(answer);
    if (next === undefined || followed === MAX_REDIRECTIONS) return answer;
    if (limits.staysAtOrigin && next.origin !== url.origin) return answer;
    answer.response.destroy();
    if (next.origin !== url.origin) credentials = {};
    url = next;
  }
}

/** Where the answer sends us; undefined when it does not, or to where there is no HTTP. */
function redirection({ response, status, url }: Answer): URL | undefined {
  const { location } = response.headers;
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined;
  if (!URL.canParse(location, url.href)) return undefined;
  const next = withoutCredentials(new URL(location, url));
  return /^https?:$/.test(next.protocol) ? next : undefined;
}

/**
 * One request. Not by fetch, which refuses the ports that browsers refuse, such as 6000: a service may listen there. On
 * a connection of its own, because one kept from the last request may be closed by the service just as we use it.
 */
function ask(
  { method, url }: Page,
  credentials: Record<string, string>,
  connectMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const { request } = url.protocol === 'https:' ? https : http;
  const headers = { 'user-agent': 'cgoprof', accept: '*/*', 'accept-encoding': 'identity', ...credentials };
  const tooFar = Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' });
  return new Promise((resolve, reject) => {
    const answered = (response: http.IncomingMessage) => resolve({ response, status: response.statusCode ?? 0, url });
    request(url, { method, agent: false, headers, signal })
      .on('socket', (socket) => socket.setTimeout(connectMs, () => socket.connecting && socket.destroy(tooFar)))
      .on('response', answered)
      .on('upgrade', (response, socket) => {
        // The socket is ours from here on, and so are its errors.
        socket.on('error', () => {}).destroy();
        reject(new Error(`the server answered ${oneLine(`${response.statusCode} ${response.statusMessage}`)}`));
      })
      .on('error', reject)
      .end();
  });
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

function whyRefused({ response, status, url }: Answer): { why: string; hint: string } {
  const why = `the server answered ${oneLine(`${status} ${response.statusMessage}`)}`;
  if (status === 404) return { why, hint: ENABLE_HINT };
  if (status === 401 || status === 403) {
    return { why, hint: 'Give credentials in the URL: http://USER:PASSWORD@HOST/.' };
  }
  if (status === 400 && url.protocol === 'http:') return { why, hint: 'It may want HTTPS: give an https:// URL.' };
  return { why, hint: 'Look at the address in a browser.' };
}

/** Of an error's text. Bytes. */
const MAX_WORDS = 1024;

/** What net/http/pprof itself says of a refusal; '' of whatever else answers, such as a page of a proxy's. */
async function refusalWords(response: http.IncomingMessage): Promise<string> {
  const { 'x-go-pprof': isPprof, 'content-type': type = '' } = response.headers;
  let words = '';
  if (isPprof !== undefined && type.startsWith('text/plain')) {
    for await (const chunk of response.setEncoding('utf8')) {
      words += chunk;
      if (words.length > MAX_WORDS) break;
    }
  }
  response.destroy();
  return oneLine(words.slice(0, MAX_WORDS));
}

/** Codes while an answer is read: the connection is closed, or what was compressed is complete and yet half. */
const ENDED_EARLY: ReadonlySet<string> = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'Z_BUF_ERROR']);

async function readBody(name: string, response: http.IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of decompressed(response)) {
      size += chunk.length;
      if (size > maxBytes) throw tooLong(name, maxBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    if (!ENDED_EARLY.has(errorCode(error))) throw error;
    const why = 'the answer ended early: only a part of the profile came';
    throw new CgoprofError({ what: `Go heap profile ${name}`, why, hint: END_HINT, cause: error });
  }
  return Buffer.concat(chunks);
}

/** A proxy may compress what it was not asked to. */
function decompressed(response: http.IncomingMessage): AsyncIterable<Uint8Array> {
  const compressed = /^(x-)?gzip$/i.test(response.headers['content-encoding'] ?? '');
  // The callback has nothing to say: whoever reads the stream gets the error too.
  return compressed ? pipeline(response, createGunzip(), () => {}) : response;
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
};

/** The reason in a line of OpenSSL's, which otherwise tells the place in its source. */
const OPENSSL_ERROR = /:SSL routines:[^:]*:([^:]+):/;

/** @param what Such as an address. @param enable What to do where nobody listens. */
function explainNetworkError(what: string, error: unknown, limits: FetchLimits, enable = ENABLE_HINT): CgoprofError {
  if ((error as Error).name === 'TimeoutError') {
    return new CgoprofError({
      what,
      why: `no answer within ${limits.timeoutMs / 1000} s`,
      hint: 'Is the service stopped, or too busy to answer?',
      cause: error,
    });
  }
  // Several addresses tried make an AggregateError of the same refusal.
  const root = error instanceof AggregateError ? error.errors[0] : error;
  const code = errorCode(root);
  const words = root instanceof Error ? root.message : String(root);
  const why = NETWORK_REASONS[code] ?? OPENSSL_ERROR.exec(words)?.[1] ?? oneLine(words);
  return new CgoprofError({ what, why, hint: networkHint(code, why, enable), cause: error });
}

function networkHint(code: string, why: string, enable: string): string {
  if (/wrong.version.number|packet.length.too.long/i.test(`${code} ${why}`)) {
    return 'The server speaks plain HTTP: give an http:// URL.';
  }
  if (/CERT|SELF_SIGNED|certificate/i.test(`${code} ${why}`)) {
    return 'Name the authority that signed it: NODE_EXTRA_CA_CERTS=FILE cgoprof ...';
  }
  if (code === 'ECONNREFUSED') return `Is the service listening there? ${enable}`;
  if (code === 'ECONNRESET') return END_HINT;
  return 'Check the address.';
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
