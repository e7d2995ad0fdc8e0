/**
 * `cgoprof serve TARGET`: the net/http/pprof interface over the merged profile, until it is told to end.
 */
import { once } from 'node:events';
import { FollowedTarget } from '../collect/followed-target.js';
import { Upstream } from '../collect/upstream.js';
import { type Context, DONE, type Ending } from '../context.js';
import { Guard } from '../serve/guard.js';
import { type ListenAddress, sayWhereItListens } from '../serve/listen.js';
import { LiveTargets } from '../serve/live-data.js';
import { ServedTarget } from '../serve/served-target.js';
import { startServer } from '../serve/server.js';
import { TokenFile } from '../serve/token-file.js';
import { Turns } from '../serve/turns.js';
import { SymbolMemory } from '../symbolize/symbol-memory.js';
import { symbolCache } from '../symbolize/symbol-places.js';

export interface ServeOptions {
  readonly listen: ListenAddress;
  /** Names under which it may be asked, beside its own. */
  readonly allowHost: readonly string[];
  readonly tokenFile?: string | undefined;
  /** URL of the service's net/http/pprof, or none. */
  readonly go?: string | undefined;
  readonly showPlumbing: boolean;
}

export async function serve(context: Context, targets: readonly string[], options: ServeOptions): Promise<Ending> {
  const token = options.tokenFile === undefined ? undefined : new TokenFile(context, options.tokenFile);
  const guard = new Guard({ hosts: [options.listen.host, ...options.allowHost], token });
  const native = await context.loadNative();
  const turns = new Turns();
  const symbols = new SymbolMemory(symbolCache(context));
  const upstream = options.go === undefined || options.go === 'none' ? undefined : new Upstream(options.go);
  const served = targets.map((target) => {
    const followed = new FollowedTarget(context, native, target);
    followed.current();
    const { showPlumbing } = options;
    return new ServedTarget(context, native, { name: target, followed, upstream, showPlumbing, symbols, turns });
  });
  const live = new LiveTargets(context, served);
  const server = await startServer(context, { targets: served, live }, options.listen, guard);
  sayWhereItListens(context, server, token !== undefined);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  live.stop();
  server.close();
  server.closeAllConnections();
  return DONE;
}
