/**
 * `cgoprof serve TARGET`: the net/http/pprof interface over the merged profile, until it is told to end.
 */
import { once } from 'node:events';
import { FollowedTarget } from '../collect/followed-target.js';
import { Upstream } from '../collect/upstream.js';
import { type Context, DONE, type Ending } from '../context.js';
import { ServedTarget } from '../serve/served-target.js';
import type { ListenAddress } from '../serve/server.js';
import { sayWhereItListens, startServer } from '../serve/server.js';
import { SymbolMemory } from '../symbolize/symbol-memory.js';
import { symbolCache } from '../symbolize/symbol-places.js';

export interface ServeOptions {
  readonly listen: ListenAddress;
  /** URL of the service's net/http/pprof, or none. */
  readonly go?: string | undefined;
  readonly showPlumbing: boolean;
}

export async function serve(context: Context, targets: readonly string[], options: ServeOptions): Promise<Ending> {
  const native = await context.loadNative();
  const symbols = new SymbolMemory(symbolCache(context));
  const upstream = options.go === undefined || options.go === 'none' ? undefined : new Upstream(options.go);
  const served = targets.map((target) => {
    const followed = new FollowedTarget(context, native, target);
    followed.current();
    const { showPlumbing } = options;
    return new ServedTarget(context, native, { name: target, followed, upstream, showPlumbing, symbols });
  });
  const server = await startServer(context, { targets: served }, options.listen);
  sayWhereItListens(context, server);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  server.close();
  server.closeAllConnections();
  return DONE;
}
