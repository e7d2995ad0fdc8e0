/**
 * What `serve` and `run --serve` have in common: a server over targets that come and go, for as long as something lasts.
 */
import type { FollowedTarget } from '../collect/followed-target.js';
import { Upstream } from '../collect/upstream.js';
import type { Context } from '../context.js';
import { CgoprofError } from '../errors.js';
import type { NativeBinding } from '../native-binding.js';
import { DefectLog } from '../serve/defect-log.js';
import { Guard } from '../serve/guard.js';
import { type ListenAddress, sayWhereItListens } from '../serve/listen.js';
import { LiveTargets } from '../serve/live-data.js';
import { INTERVAL_MS } from '../serve/live-state.js';
import { prepareForLongLife } from '../serve/long-life.js';
import { MetricsPage } from '../serve/metrics.js';
import { ServedTarget } from '../serve/served-target.js';
import { startServer } from '../serve/server.js';
import { TokenFile } from '../serve/token-file.js';
import { Turns } from '../serve/turns.js';
import { withEach } from '../serve/with-each.js';
import { SymbolMemory } from '../symbolize/symbol-memory.js';
import { symbolCache } from '../symbolize/symbol-places.js';

export interface ListenOptions {
  readonly listen: ListenAddress;
  /** Names under which it may be asked, beside its own. */
  readonly allowHost: readonly string[];
  readonly tokenFile?: string | undefined;
}

/** How often targets are looked at though nobody asks, ms: what a process leaves may be removed soon after its end. */
const LOOK_EVERY_MS = 1_000;

/**
 * @param targets May come and go; the list stays the same one.
 * @param look Looks at them.
 * @returns what ends it
 * @throws CgoprofError when it cannot listen
 */
export async function startServing(
  context: Context,
  targets: readonly ServedTarget[],
  look: () => void,
  { listen, allowHost, tokenFile }: ListenOptions,
): Promise<() => void> {
  const token = tokenFile === undefined ? undefined : new TokenFile(context, tokenFile);
  const guard = new Guard({ hosts: [listen.host, ...allowHost], token });
  const live = new LiveTargets(targets);
  const metrics = new MetricsPage(targets);
  const server = await startServer(context, { targets, live, metrics }, listen, guard);
  const endLongLife = prepareForLongLife(context, await context.loadNative());
  const timers = [
    every(LOOK_EVERY_MS, surviving(context, look)),
    every(
      INTERVAL_MS,
      surviving(context, () => live.record()),
    ),
  ];
  sayWhereItListens(context, server, token !== undefined);
  return () => {
    for (const timer of timers) clearInterval(timer);
    server.close();
    server.closeAllConnections();
    endLongLife();
  };
}

/** Now and from now on. */
function every(ms: number, act: () => void): NodeJS.Timeout {
  act();
  return setInterval(act, ms);
}

/**
 * Makes a target of what is followed.
 *
 * @param go URL of its service's net/http/pprof, or none.
 * @param isItsOwn Whether that is its service, and not another's; asked again and again.
 * @throws CgoprofError (usage) where `go` is no URL
 */
export type MakeServed = (followed: FollowedTarget, go: string | undefined, isItsOwn?: () => boolean) => ServedTarget;

/** The targets share what all of them may use. @param showPlumbing As in CProfileOptions. */
export function servedTargetMaker(
  context: Context,
  native: NativeBinding,
  { showPlumbing }: { readonly showPlumbing: boolean },
): MakeServed {
  const shared = { showPlumbing, symbols: new SymbolMemory(symbolCache(context)), turns: new Turns() };
  return (followed, go, isItsOwn = () => true) => {
    const service = go === undefined || go === 'none' ? undefined : new Upstream(go, () => followed.checkLives());
    return new ServedTarget(context, native, {
      ...shared,
      name: followed.name,
      followed,
      get upstream() {
        return isItsOwn() ? service : undefined;
      },
    });
  };
}

/** Looks at targets though nobody asks for them. @throws the first defect of ours, once all were looked at */
export function lookAt(targets: readonly Pick<FollowedTarget, 'current'>[]): void {
  withEach(targets, (target) => {
    try {
      target.current();
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error; // Otherwise whoever asks is told.
    }
  });
}

/**
 * The command of a `run` is not to suffer from a defect of ours, which is told all the same, once.
 */
function surviving(context: Context, act: () => void): () => void {
  const defects = new DefectLog(context);
  return () => {
    try {
      act();
    } catch (error) {
      defects.tell(error);
    }
  };
}
