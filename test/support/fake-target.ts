/** A target as `serve` has them, of which a test says what becomes. It holds 997 bytes in C at one line. */
import type { Profile } from 'pprof-format';
import type { FollowedSegment } from '../../src/collect/followed-target.js';
import type { ProcessMemory } from '../../src/collect/process-memory.js';
import { cProfile } from '../../src/merge/c-profile.js';
import { otherProgramNote, programOf } from '../../src/merge/same-program.js';
import type { Segment, SegmentHeader } from '../../src/native-binding.js';
import type { CPart, GoInUse, GoPart, ServedTarget } from '../../src/serve/served-target.js';
import { goProfile } from './go-profile-fixture.js';
import { type BucketTable, symbolizedSegment } from './segment-fixture.js';

const LINE: BucketTable = {
  stack: ['hold@/srv/app/cache.c:7', 'main.main@/srv/app/main.go:3'],
  allocs: 1,
  allocBytes: 997,
};

export class FakeTarget {
  header: Partial<SegmentHeader> = {};
  counters: Partial<SegmentHeader['counters']> = {};
  buckets: readonly BucketTable[] = [LINE];
  livePid: number | undefined = 4321;
  /** Thrown by whoever looks at it. */
  error: Error | undefined;
  /** Undefined without a service. */
  upstream: { readonly name: string; open?(): Promise<never> } | undefined = {
    name: 'http://127.0.0.1:6060/debug/pprof/',
  };
  lastGo: GoInUse | undefined;
  /** What Go answers; by default a profile of 7919 bytes. */
  goAnswer: () => Promise<GoPart | undefined> = async () => GO_PART;
  goAsked = 0;
  cAsked = 0;
  #lastProfile: Profile | undefined;
  #endedAt: Date | undefined;
  /** One object until it ends or is started anew. */
  #current: FollowedSegment | undefined;

  /** @param name As it is served. */
  constructor(readonly name = 'app') {}

  /** @param at When that was seen; null: nobody saw it. */
  end(at: Date | null = new Date(0)): void {
    this.livePid = undefined;
    this.#endedAt = at ?? undefined;
    this.#current = undefined;
  }

  restart(): void {
    this.header = { ...this.header, createdUnixNs: 1_800_000_000_000_000_000n };
    this.#current = undefined;
  }

  get served(): ServedTarget {
    return this as unknown as ServedTarget;
  }

  current(): FollowedSegment {
    if (this.error !== undefined) throw this.error;
    const { livePid } = this;
    const found = { path: '/segment', header: this.segment().header, livePid: 4321 };
    const end = livePid === undefined ? { at: this.#endedAt, how: 'died' as const } : undefined;
    this.#current ??= { found, path: '/segment', livePid, end };
    return this.#current;
  }

  segment() {
    return this.#symbolized.segment;
  }

  memory(): ProcessMemory {
    return { resident: 1 << 20, anonymous: 1 << 20, file: 0, shared: 0 };
  }

  async goPart(): Promise<GoPart | undefined> {
    this.goAsked += 1;
    const part = await this.goAnswer();
    if (part !== undefined) this.lastGo = { bytes: 7919, takenAt: part.takenAt };
    this.#lastProfile = part?.profile ?? this.#lastProfile;
    return part;
  }

  async goNote(_: FollowedSegment, segment: Segment, go = this.#lastProfile): Promise<string | undefined> {
    return otherProgramNote(go && programOf(go), [segment]);
  }

  async cPart(): Promise<CPart> {
    this.cAsked += 1;
    const symbolized = this.#symbolized;
    return { target: this.current(), symbolized, c: cProfile(symbolized, { showPlumbing: false }) };
  }

  get #symbolized() {
    return symbolizedSegment({ buckets: this.buckets, header: this.header, counters: this.counters });
  }
}

export const GO_PART: GoPart = {
  profile: goProfile({ samples: [{ stack: ['main.main@/srv/app/main.go:3'], values: [1, 7919, 1, 7919] }] }),
  name: 'http://127.0.0.1:6060/debug/pprof/heap',
  takenAt: new Date(1_000_000),
};
