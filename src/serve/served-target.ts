/**
 * One target as it is served: takes snapshots of its C side and its Go side, each shared by all who ask for it meanwhile.
 */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Profile } from 'pprof-format';
import type { FollowedSegment, FollowedTarget } from '../collect/followed-target.js';
import { readSegment } from '../collect/read-segment.js';
import { fileSystemRoot } from '../collect/target.js';
import type { Upstream } from '../collect/upstream.js';
import { type Context, say } from '../context.js';
import { cProfile } from '../merge/c-profile.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { parseGoProfile } from '../merge/parse-profile.js';
import { goSiteCounts } from '../merge/site-counts.js';
import type { NativeBinding, Segment } from '../native-binding.js';
import type { SymbolStore } from '../symbolize/symbol-cache.js';
import { DEBUG_ROOTS } from '../symbolize/symbol-places.js';
import { type SymbolizedSegment, symbolizeSegment } from '../symbolize/symbolize-segment.js';
import type { Turns } from './turns.js';

/** The Go side of a snapshot. */
export interface GoPart {
  readonly profile: Profile;
  /** Where it came from. */
  readonly name: string;
  readonly takenAt: Date;
}

/** Of a Go side, in few words. */
export interface GoInUse {
  readonly bytes: number;
  readonly takenAt: Date;
}

/** Both sides at one moment; Go first, whose collection may run finalizers that free C memory. */
export interface Snapshot {
  readonly target: FollowedSegment;
  readonly symbolized: SymbolizedSegment;
  readonly c: Profile;
  /** Undefined where no service was named with --go. */
  readonly go: GoPart | undefined;
  /** Merged and gzipped. @param defaultType The sample type that viewers show first; '': the last. */
  encoded(defaultType: '' | 'alloc_space'): Promise<Uint8Array>;
}

export interface ServedTargetOptions {
  /** In /p/NAME/. */
  readonly name: string;
  readonly followed: FollowedTarget;
  readonly upstream: Upstream | undefined;
  readonly showPlumbing: boolean;
  readonly symbols: SymbolStore;
  /** Of all targets together. */
  readonly turns: Turns;
}

export class ServedTarget {
  /** By whether Go collects first. */
  readonly #underWay = new Map<boolean, Promise<Snapshot>>();
  readonly #goUnderWay = new Map<boolean, Promise<GoPart>>();
  readonly #warned = new Set<string>();
  #lastGo: GoInUse | undefined;

  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    private readonly options: ServedTargetOptions,
  ) {}

  get name(): string {
    return this.options.name;
  }

  get upstream(): Upstream | undefined {
    return this.options.upstream;
  }

  /** What the last profile of the Go side came to, whoever asked for it. */
  get lastGo(): GoInUse | undefined {
    return this.#lastGo;
  }

  /** The segment that stands for it now. @throws CgoprofError while there is none */
  current(): FollowedSegment {
    return this.options.followed.current();
  }

  /** One that was begun already does as well, if it is still under way. @throws CgoprofError */
  snapshot({ gc }: { readonly gc: boolean }): Promise<Snapshot> {
    const underWay = this.#underWay.get(gc);
    if (underWay !== undefined) return underWay;
    const begun = this.options.turns.take(() => this.#take(gc)).finally(() => this.#underWay.delete(gc));
    this.#underWay.set(gc, begun);
    return begun;
  }

  async #take(gc: boolean): Promise<Snapshot> {
    const target = this.current();
    const go = await this.goPart({ gc });
    const symbolized = await this.symbolized(target);
    const c = cProfile(symbolized, this.options);
    return { target, symbolized, c, go, encoded: encoder(c, go) };
  }

  /** The Go side alone, shared as snapshots are; undefined without a service to ask. @throws CgoprofError */
  goPart({ gc }: { readonly gc: boolean }): Promise<GoPart | undefined> {
    const { upstream } = this.options;
    if (upstream === undefined) return Promise.resolve(undefined);
    const underWay = this.#goUnderWay.get(gc) ?? this.#takeGo(upstream, gc).finally(() => this.#goUnderWay.delete(gc));
    this.#goUnderWay.set(gc, underWay);
    return underWay;
  }

  async #takeGo(upstream: Upstream, gc: boolean): Promise<GoPart> {
    const go = await takeGoPart(upstream, gc);
    this.#lastGo = { bytes: Number(goSiteCounts(go.profile).inUse.bytes), takenAt: go.takenAt };
    return go;
  }

  /** The C side alone, as it is now, without names. @throws CgoprofError */
  segment({ path }: FollowedSegment): Segment {
    return readSegment(this.native, path);
  }

  /** The same with names. @throws CgoprofError */
  async symbolized(target: FollowedSegment): Promise<SymbolizedSegment> {
    const segment = this.segment(target);
    const { livePid } = target;
    const options = {
      root: fileSystemRoot(this.context, livePid),
      ...(livePid === undefined ? {} : { pid: livePid }),
      debugRoots: DEBUG_ROOTS,
      cache: this.options.symbols,
      warn: (message: string) => this.#warn(message),
    };
    return symbolizeSegment(segment, options, this.native);
  }

  /** Each once: snapshots are many. */
  #warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    say(this.context, `warning: ${message}`);
  }
}

async function takeGoPart(upstream: Upstream, gc: boolean): Promise<GoPart> {
  const { bytes, name, takenAt } = await upstream.heap({ gc });
  return { profile: parseGoProfile(bytes, name), name, takenAt };
}

function encoder(c: Profile, go: GoPart | undefined): Snapshot['encoded'] {
  const encoded = new Map<string, Promise<Uint8Array>>();
  const encode = async (defaultType: string): Promise<Uint8Array> => {
    const comments = go === undefined ? [] : [`cgoprof: Go heap profile from ${go.name}`];
    const merged = mergeProfiles({ go: go === undefined ? [] : [go.profile], c: [c], comments });
    if (defaultType !== '') merged.defaultSampleType = merged.stringTable.dedup(defaultType);
    return promisify(gzip)(merged.encode(), { level: 1 });
  };
  return (defaultType) => {
    const known = encoded.get(defaultType) ?? encode(defaultType);
    encoded.set(defaultType, known);
    return known;
  };
}
