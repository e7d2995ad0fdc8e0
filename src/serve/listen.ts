/**
 * Where the server listens, and what it waits for: a client that is slow, or does not finish what it began, holds up its
 * own connection alone, and that for a while only.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, BlockList, isIPv6, type Socket } from 'node:net';
import { type Context, say } from '../context.js';
import { CgoprofError, errorCode, systemReason } from '../errors.js';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Milliseconds. */
export interface Patience {
  /** For the head of a request, from the first byte or, of a new connection, from the connection on. */
  readonly headersTimeout: number;
  /** For a request with its body. */
  readonly requestTimeout: number;
  /** For the next request: longer than most scrapers wait from one to the next. */
  readonly keepAliveTimeout: number;
  /**
   * How often a client is looked at that has not taken all of what it was sent: one that took nothing from one look to the
   * next is ended, after one to two times that. However long an answer takes us, it is waited for.
   */
  readonly stalled: number;
  /** How often the first two are looked at. */
  readonly connectionsCheckingInterval: number;
}

export const PATIENCE: Patience = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  stalled: 30_000,
  connectionsCheckingInterval: 5_000,
};

/** Of the head of a request, bytes; its path included. */
export const MAX_HEADER_SIZE = 16 * 2 ** 10;

/** Fewer than the descriptors that a process usually may have. */
export const MAX_CONNECTIONS = 2048;

/** @returns once it listens. @throws CgoprofError when it cannot */
export async function listen(
  answer: RequestListener,
  { host, port }: ListenAddress,
  { stalled, ...timeouts }: Patience = PATIENCE,
): Promise<Server> {
  const server = createServer({ ...timeouts, maxHeaderSize: MAX_HEADER_SIZE }, (request, response) => {
    response.on('timeout', endIfStalled);
    answer(request, response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  // Without a listener: with one, Node ends no connection that waits for its next request.
  server.setTimeout(stalled);
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => reject(cannotListen(error, { host, port }));
    server.once('error', fail).listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
  return server;
}

/** After a time without progress: node:net starts it anew if bytes were taken within it, whenever in it that was. */
function endIfStalled(socket: Socket): void {
  if (socket.writableLength > 0) socket.destroy();
}

const LISTEN_HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Is another cgoprof listening? Port 0 takes one that is free.',
  EADDRNOTAVAIL: 'No interface of this machine has that address.',
  EACCES: 'Ports below 1024 are for root, as a rule: choose another.',
};

function cannotListen(error: Error, { host, port }: ListenAddress): CgoprofError {
  const address = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  const hint = LISTEN_HINTS[errorCode(error)] ?? '';
  return new CgoprofError({ what: `listening on ${address}`, why: systemReason(error), hint, cause: error });
}

/** http://HOST:PORT, as it listens. */
export function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(server: Server): boolean {
  const { address, family } = server.address() as AddressInfo;
  return LOOPBACK.check(address, family === 'IPv6' ? 'ipv6' : 'ipv4');
}

/** With a warning where others than this machine's own users may connect, and need no token. */
export function sayWhereItListens(context: Context, server: Server, needsToken: boolean): void {
  const url = urlOf(server);
  if (!needsToken && !isLoopback(server)) {
    say(
      context,
      `warning: whoever can reach ${url} may look at the profiles; --token-file FILE asks for a token, --listen 127.0.0.1:PORT stays on this machine`,
    );
  }
  const withToken = needsToken ? url.replace('//', '//x:TOKEN@') : url;
  say(context, `listening on ${url}; look at it: go tool pprof ${withToken}/debug/pprof/heap`);
}
