/**
 * One target as it is served: takes snapshots of its C side and its Go side, each shared by all who ask for it meanwhile.
 */

import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Profile } from 'pprof-format';
import { commandLine } from '../collect/command-line.js';
import type { FoundSegment } from '../collect/find-segments.js';
import { currentOf, endNote, type FollowedSegment, type FollowedTarget } from '../collect/followed-target.js';
import type { GoHeapBytes } from '../collect/go-heap.js';
import { type ProcessMemory, readProcessMemory } from '../collect/process-memory.js';
import { readSegment } from '../collect/read-segment.js';
import { fileSystemRoot } from '../collect/target.js';
import type { Upstream } from '../collect/upstream.js';
import { type Context, say } from '../context.js';
import { CgoprofError } from '../errors.js';
import { CSide } from '../merge/c-profile.js';
import { mergeProfiles } from '../merge/merge-profiles.js';
import { parseGoProfile } from '../merge/parse-profile.js';
import type { NativeBinding, Segment } from '../native-binding.js';
import { inUseBytes } from '../present/output.js';
import type { SymbolStore } from '../symbolize/symbol-cache.js';
import { DEBUG_ROOTS } from '../symbolize/symbol-places.js';
import { type SymbolizedSegment, type SymbolizeOptions, symbolizeSegment } from '../symbolize/symbolize-segment.js';
import { C_ALONE_NOTE, withWayToC } from './c-alone.js';
import { type DefaultType, encodeProfile } from './encode-profile.js';
import { GoOrigin } from './go-origin.js';
import { ofOneProcess } from './one-process.js';
import type { Turns } from './turns.js';
import { UnderWay } from './under-way.js';

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

/** The C side of a snapshot. */
export interface CPart {
  readonly target: FollowedSegment;
  readonly symbolized: SymbolizedSegment;
  /** By itself; made when it is first asked for. */
  readonly c: Profile;
}

/** Both sides at one moment; Go first, whose collection may run finalizers that free C memory. */
export interface Snapshot extends CPart {
  /**
   * Undefined where no service was named with --go, or the C side alone was asked for. Once the process has ended, the
   * last that was fetched from it, or undefined if none was.
   */
  readonly go: GoPart | undefined;
  /**
   * What whoever looks at it must know beside what is in the profiles, clauses: where the Go side is from, or why there is
   * none; that the process has ended.
   */
  readonly notes: readonly string[];
  /** Merged and gzipped. */
  encoded(defaultType: DefaultType): Promise<Uint8Array>;
}

export interface SnapshotQuery {
  /** Go collects first. */
  readonly gc: boolean;
  /** The service is not asked. */
  readonly cAlone?: boolean;
}

export interface ServedTargetOptions {
  /** In /p/NAME/. */
  readonly name: string;
  readonly followed: FollowedTarget;
  /** May change. */
  readonly upstream: Upstream | undefined;
  readonly showPlumbing: boolean;
  readonly symbols: SymbolStore;
  /** Of all targets together. */
  readonly turns: Turns;
}

/** A Go side that was fetched, and from whom. */
interface FetchedGo {
  readonly from: FoundSegment;
  /** As it came: a small part of what it is to be parsed to, should the process end. */
  readonly heap: GoHeapBytes;
  readonly inUse: GoInUse;
}

class TakenCPart implements CPart {
  #profile: Profile | undefined;

  constructor(
    readonly target: FollowedSegment,
    readonly symbolized: SymbolizedSegment,
    readonly side: CSide,
  ) {}

  get c(): Profile {
    this.#profile ??= this.side.profile();
    return this.#profile;
  }
}

export class ServedTarget {
  /** By whether Go collects first; or of the C side alone. */
  readonly #snapshots = new UnderWay<boolean | 'c', Snapshot>();
  readonly #goParts = new UnderWay<boolean, GoPart>();
  readonly #cParts = new UnderWay<'c', CPart>();
  readonly #warned = new Set<string>();
  #lastGo: FetchedGo | undefined;
  #knownOrigin: GoOrigin | undefined;

  constructor(
    private readonly context: Context,
    private readonly native: NativeBinding,
    private readonly options: ServedTargetOptions,
  ) {}

  get name(): string {
    return this.options.name;
  }

  /** Asked only while the process lives: later it answers with an error. */
  get upstream(): Upstream | undefined {
    return this.options.upstream;
  }

  /** What the last profile of the Go side of the current process came to, whoever asked for it. */
  get lastGo(): GoInUse | undefined {
    return this.#lastGo?.from === currentOf(this)?.found ? this.#lastGo?.inUse : undefined;
  }

  /** Made when there is a service to ask first: of a run that may be later. */
  get #origin(): GoOrigin | undefined {
    const { upstream } = this.options;
    if (upstream !== undefined) this.#knownOrigin ??= new GoOrigin(this.context, upstream);
    return this.#knownOrigin;
  }

  /** The segment that stands for it now. @throws CgoprofError while there is none */
  current(): FollowedSegment {
    return this.options.followed.current();
  }

  /** One that was begun already does as well, if it is still under way. @throws CgoprofError or HttpError */
  async snapshot({ gc, cAlone = false }: SnapshotQuery): Promise<Snapshot> {
    return this.#snapshots.share(cAlone ? 'c' : gc, this.current(), () => this.#take({ gc, cAlone }));
  }

  /** The turn is for what we do ourselves: a service that does not answer keeps nobody else waiting. */
  #take(query: SnapshotQuery): Promise<Snapshot> {
    return ofOneProcess(this, async (target) => {
      const go = query.cAlone ? undefined : await this.#goOfSnapshot(query);
      await othersTurn();
      const part = await this.options.turns.take(() => this.#takeC(target));
      return this.#snapshotOf(part, go, query);
    });
  }

  async #goOfSnapshot(query: SnapshotQuery): Promise<GoPart | undefined> {
    try {
      return await this.goPart(query);
    } catch (error) {
      throw withWayToC(error);
    }
  }

  async #snapshotOf(part: TakenCPart, go: GoPart | undefined, { cAlone }: SnapshotQuery): Promise<Snapshot> {
    const { target, symbolized } = part;
    const other = go && (await this.goNote(target, symbolized.segment, go.profile));
    const goSide = go === undefined ? this.#whyNoGo(cAlone === true) : sourceNote(go);
    const notes = [goSide, endNote(target), other].filter((note) => note !== undefined);
    const encode = encoder(part, go, notes);
    const encoded = shared((defaultType) => this.options.turns.take(() => encode(defaultType)));
    return {
      target,
      symbolized,
      get c() {
        return part.c;
      },
      go,
      notes,
      encoded,
    };
  }

  #whyNoGo(cAlone: boolean): string {
    if (this.upstream === undefined) return NOT_ASKED;
    return cAlone ? C_ALONE_NOTE : NONE_LEFT;
  }

  /** The C side alone; one that was begun already does as well. @throws CgoprofError or HttpError */
  async cPart(): Promise<CPart> {
    return this.#cParts.share('c', this.current(), () => this.newCPart());
  }

  /** The same, read from now on: after a Go side that was had before. @throws CgoprofError or HttpError */
  newCPart(): Promise<CPart> {
    return this.options.turns.take(() => this.#takeC(this.current()));
  }

  async #takeC(target: FollowedSegment): Promise<TakenCPart> {
    const symbolized = await this.symbolized(target);
    return new TakenCPart(target, symbolized, new CSide(symbolized, { ...this.options, ...dated(target) }));
  }

  /**
   * The Go side alone, shared as snapshots are; of a process that has ended the last one that was fetched. Undefined
   * without a service to ask. @throws CgoprofError
   */
  async goPart({ gc }: { readonly gc: boolean }): Promise<GoPart | undefined> {
    const { upstream } = this.options;
    if (upstream === undefined) return undefined;
    const target = this.current();
    if (target.end !== undefined) return this.#lastGo?.from === target.found ? goPart(this.#lastGo.heap) : undefined;
    return this.#goParts.share(gc, target, () => this.#takeGo(upstream, gc, target));
  }

  async #takeGo(upstream: Upstream, gc: boolean, target: FollowedSegment): Promise<GoPart> {
    // Its answer is waited for where it is told; nothing of it is to hold up the profile.
    this.#origin?.ask(target).catch(() => {});
    const heap = await upstream.heap({ gc });
    const part = goPart(heap);
    if (this.current() === target) {
      this.#origin?.see(target, part.profile);
      const inUse = { bytes: inUseBytes(part.profile).go, takenAt: part.takenAt };
      this.#lastGo = { from: target.found, heap, inUse };
    }
    return part;
  }

  /**
   * That the Go side is of another program or process than the C side, where it is, one clause. Also told to our own user,
   * once: who serves may know what to do about it.
   *
   * @param go What it is about; without one, the last profile of the process, for which the service may be asked.
   */
  async goNote(target: FollowedSegment, segment: Segment, go?: Profile): Promise<string | undefined> {
    const origin = this.#origin;
    if (origin === undefined) return undefined;
    if (go === undefined && !origin.hasSeen(target)) await this.#lookAtGo();
    const note = await origin.note(target, segment, go);
    if (note !== undefined) this.#warn(`${this.name}: ${note}`);
    return note;
  }

  /** Whatever comes of it. */
  async #lookAtGo(): Promise<void> {
    try {
      await this.goPart({ gc: false });
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error;
    }
  }

  /** The C side alone, as it is now, without names. @throws CgoprofError */
  segment({ path, found }: FollowedSegment): Segment {
    const segment = readSegment(this.native, path);
    if (segment.header.createdUnixNs === found.header.createdUnixNs) return segment;
    // Its descriptor was given up meanwhile, and is another file's now.
    throw new CgoprofError({ what: this.name, why: 'its process was replaced by another', hint: 'Try again.' });
  }

  /**
   * Words separated by NUL bytes; once its process has ended, those it had when it was found; its executable alone where
   * that was later. @throws CgoprofError
   */
  commandLine(): Uint8Array | string {
    const { found, livePid, words } = this.current();
    const now = livePid === undefined ? undefined : commandLine(this.context.procRoot, livePid);
    return now ?? words ?? found.header.exePath;
  }

  /** What of its process is resident; undefined when that has ended. */
  memory(livePid: number): ProcessMemory | undefined {
    return readProcessMemory(this.context.procRoot, livePid);
  }

  /** The C side with names. @throws CgoprofError */
  async symbolized(target: FollowedSegment): Promise<SymbolizedSegment> {
    return this.#symbolize(target, this.segment(target), this.#keeping());
  }

  /** What changed on the C side from one reading to a later one. @throws CgoprofError or HttpError */
  async cChanges(target: FollowedSegment, since: Segment, until: Segment): Promise<CSide> {
    const { turns } = this.options;
    const symbolized = await turns.take(() => this.#symbolize(target, until, this.#keeping()));
    return new CSide(symbolized, { ...this.options, since });
  }

  /**
   * Names for addresses that a client has thought up: they are not kept, and what has none is nothing to warn of. Whoever
   * asks bounds how many are looked up at once: it takes no turn.
   *
   * @param segment Of the target, with stacks of those addresses.
   * @throws CgoprofError
   */
  namesFor(target: FollowedSegment, segment: Segment): Promise<SymbolizedSegment> {
    const { symbols } = this.options;
    const cache = { load: (key: string) => symbols.load(key), store: async () => {} };
    return this.#symbolize(target, segment, { cache, warn: () => {} });
  }

  /** Symbols for the next time, and warnings. */
  #keeping(): Pick<SymbolizeOptions, 'cache' | 'warn'> {
    return { cache: this.options.symbols, warn: (message) => this.#warn(message) };
  }

  #symbolize(
    target: FollowedSegment,
    segment: Segment,
    keeping: Pick<SymbolizeOptions, 'cache' | 'warn'>,
  ): Promise<SymbolizedSegment> {
    const { livePid, elsewhere } = target;
    const options = {
      root: fileSystemRoot(this.context, livePid),
      elsewhere,
      pid: livePid,
      debugRoots: DEBUG_ROOTS,
      ...keeping,
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

/** When a segment that nobody writes any more was written last: an unknown time is 0. */
function dated({ end }: FollowedSegment): { readonly timeNanos?: bigint } {
  return end === undefined ? {} : { timeNanos: BigInt(end.at?.getTime() ?? 0) * 1_000_000n };
}

/** @throws CgoprofError */
function goPart({ bytes, name, takenAt }: GoHeapBytes): GoPart {
  return { profile: parseGoProfile(bytes, name), name, takenAt };
}

type Encode = Snapshot['encoded'];

const NOT_ASKED = 'C side only: --go names no service of this target, so the Go side was not asked for';

/** Of a process that has ended. */
const NONE_LEFT = 'C side only: no profile of the Go side was taken while the process lived';

function sourceNote({ name, takenAt }: GoPart): string {
  return `Go heap profile from ${name}, taken at ${takenAt.toISOString()}`;
}

function encoder({ target, side }: TakenCPart, go: GoPart | undefined, notes: readonly string[]): Encode {
  return async (defaultType) => {
    const comments = notes.map((text) => `cgoprof: ${text}`);
    await othersTurn();
    const merged = mergeProfiles({ go: go === undefined ? [] : [go.profile], c: [side], comments });
    // Not of its Go side, which was taken before: what the process held at its end is what people look for.
    merged.timeNanos = dated(target).timeNanos ?? merged.timeNanos;
    await othersTurn();
    return encodeProfile(merged, defaultType);
  };
}

/** Done once, for all who ask. */
function shared(encode: Encode): Encode {
  const encoded = new Map<DefaultType, Promise<Uint8Array>>();
  return (defaultType) => {
    const known = encoded.get(defaultType) ?? encode(defaultType);
    encoded.set(defaultType, known);
    return known;
  };
}
