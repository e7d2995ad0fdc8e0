/**
 * The numbers behind the live page: the last hour of every target, and a look at one as it is now. Names are looked up,
 * and Go is asked, only while a page asks; pages that ask at about the same time share a look.
 */
import { currentOf, endNote, type FollowedSegment } from '../collect/followed-target.js';
import { CgoprofError, oneLine } from '../errors.js';
import { bytesBeforeAttach } from '../merge/c-profile.js';
import { cgoCallOf } from '../merge/cgo-call.js';
import { segmentNotes } from '../merge/segment-notes.js';
import { type SiteEstimate, siteEstimates } from '../merge/site-estimates.js';
import { processRow } from '../present/ps-table.js';
import type { Exchange } from './exchange.js';
import { inTime } from './go-patience.js';
import { cBytesInUse, History, identityOf } from './history.js';
import {
  INTERVAL_MS,
  type LiveC,
  type LiveGo,
  type LiveProcess,
  type LiveSite,
  type LiveState,
  type NoSuchTarget,
} from './live-state.js';
import { ofOneProcess } from './one-process.js';
import type { CPart, GoPart, ServedTarget } from './served-target.js';
import { withEach } from './with-each.js';

/** For how long a look is new enough for another page. */
const FRESH_MS = INTERVAL_MS / 2;

/** What Go had in use so long ago says nothing of now. */
const STALE_MS = 60_000;

/** More lines than anybody looks at, and few enough for a small answer. */
const MAX_SITES = 100;

/** Of C++ templates names can be pages long. */
const MAX_NAME = 500;

type Look = Pick<LiveState, 'at' | 'problem' | 'ended' | 'identity' | 'process' | 'c' | 'go' | 'rss'>;

/** Text of the target's, made fit for one line that runs in one direction. */
function legible(text: string): string {
  const line = oneLine(text.replace(/[\p{Bidi_Control}\u2028\u2029]+/gu, ' '));
  return line.length > MAX_NAME ? `${line.slice(0, MAX_NAME)}…` : line;
}

function liveProcess({ target: { found, livePid }, symbolized }: CPart): LiveProcess {
  const { header } = symbolized.segment;
  const { pid, state, started, rate, command, attached } = processRow({ path: found.path, header, livePid });
  return { pid, state, started, rate, command: legible(command), attached };
}

function liveC({ symbolized: { segment }, c }: CPart): LiveC {
  const sites = siteEstimates([c], cgoCallOf).filter(({ inUse }) => inUse.bytes.estimate > 0);
  const pid = `pid ${segment.header.pid}: `;
  return {
    bytes: cBytesInUse(segment),
    beforeAttach: bytesBeforeAttach(segment.header),
    sites: sites.slice(0, MAX_SITES).map(liveSite),
    siteCount: sites.length,
    notes: segmentNotes(segment).map((note) => (note.startsWith(pid) ? note.slice(pid.length) : note)),
  };
}

function liveSite({ function: name, file, line, via = '', inUse }: SiteEstimate): LiveSite {
  const { estimate, low, high } = inUse.bytes;
  return { function: legible(name), file: legible(file), line, via: legible(via), bytes: estimate, low, high };
}

/** What came of asking Go. */
interface AskedGo {
  readonly part: GoPart | undefined;
  /** Why there is none; '' where nothing went wrong. */
  readonly problem: string;
}

/** A target as live pages see it. */
class LiveTarget {
  readonly history: History;
  #look: { readonly of: FollowedSegment | undefined; readonly begun: number; readonly look: Promise<Look> } | undefined;

  constructor(private readonly target: ServedTarget) {
    this.history = new History(target);
  }

  get name(): string {
    return this.target.name;
  }

  /** As it is now, or was a moment ago; of the process of now. */
  look(now: number): Promise<Look> {
    const of = currentOf(this.target);
    if (this.#look === undefined || this.#look.of !== of || now - this.#look.begun >= FRESH_MS) {
      const look = this.#take(now);
      const held = { of, begun: now, look };
      this.#look = held;
      // A failure is nothing to share for long.
      look.catch(() => {
        if (this.#look === held) this.#look = undefined;
      });
    }
    return this.#look.look;
  }

  async #take(at: number): Promise<Look> {
    try {
      return await ofOneProcess(this.target, () => this.#takeBothSides(at));
    } catch (error) {
      if (!(error instanceof CgoprofError)) throw error;
      const problem = error.hint === '' ? error.message : `${error.message}. ${error.hint}`;
      const go = { served: this.target.upstream !== undefined, bytes: null, takenAt: null, problem: '', other: '' };
      return { at, problem, ended: '', identity: '', process: null, c: null, go, rss: null };
    }
  }

  /** Go first, whose finalizers may free C memory. */
  async #takeBothSides(at: number): Promise<Look> {
    const asked = await this.#askGo();
    const part = await this.target.cPart();
    const { livePid } = part.target;
    const go = this.#go(at, livePid !== undefined);
    const other = go.takenAt === null ? '' : await this.#otherNote(part, asked.part);
    return {
      at,
      problem: '',
      ended: endNote(part.target) ?? '',
      identity: identityOf(part.target),
      process: liveProcess(part),
      c: liveC(part),
      go: { ...go, problem: asked.problem, other },
      rss: livePid === undefined ? null : (this.target.memory(livePid)?.resident ?? null),
    };
  }

  async #otherNote({ target, symbolized }: CPart, go: GoPart | undefined): Promise<string> {
    return legible((await this.target.goNote(target, symbolized.segment, go?.profile)) ?? '');
  }

  async #askGo(): Promise<AskedGo> {
    const asked = this.target.goPart({ gc: false }).then(
      (part) => ({ part, problem: '' }),
      (error: unknown) => ({
        part: undefined,
        problem: error instanceof CgoprofError ? error.message : 'its profile cannot be read',
      }),
    );
    return inTime(asked, () => ({ part: undefined, problem: 'the service has not answered yet' }));
  }

  /** @param lives Otherwise its last profile is what is left of it, as its segment is. */
  #go(at: number, lives: boolean): Pick<LiveGo, 'served' | 'bytes' | 'takenAt'> {
    const { upstream, lastGo } = this.target;
    if (upstream === undefined) return { served: false, bytes: null, takenAt: null };
    const takenAt = lastGo?.takenAt.getTime() ?? null;
    const counts = !lives || (takenAt !== null && at - takenAt < STALE_MS);
    return { served: true, bytes: counts ? (lastGo?.bytes ?? null) : null, takenAt };
  }
}

/** All targets as live pages see them. */
export class LiveTargets {
  readonly #known = new Map<ServedTarget, LiveTarget>();

  /** @param served May come and go; the list stays the same one. */
  constructor(private readonly served: readonly ServedTarget[]) {}

  /** Takes a reading of each; to be done every {@link INTERVAL_MS}. @throws the first defect of ours, once all are read */
  record(now = Date.now()): void {
    withEach(this.#targets, ({ history }) => history.record(now));
  }

  /** In the order of the command line. */
  get names(): string[] {
    return this.served.map(({ name }) => name);
  }

  /** @param name The first one's by default. @returns undefined when there is none of that name */
  async state(name: string | null, now = Date.now()): Promise<LiveState | undefined> {
    const targets = this.#targets;
    const target = name === null ? targets[0] : targets.find((one) => one.name === name);
    if (target === undefined) return undefined;
    const isFirst = target === targets[0];
    return {
      ...(await target.look(now)),
      targets: this.names,
      target: target.name,
      pprof: isFirst ? 'debug/pprof/' : `p/${encodeURIComponent(target.name)}/debug/pprof/`,
      history: target.history.columns,
    };
  }

  /** Those that are served now; what is known of others is forgotten. */
  get #targets(): LiveTarget[] {
    for (const known of this.#known.keys()) if (!this.served.includes(known)) this.#known.delete(known);
    return this.served.map((target) => {
      const live = this.#known.get(target) ?? new LiveTarget(target);
      this.#known.set(target, live);
      return live;
    });
  }
}

/** Answers the page's question. */
export async function answerLiveData(exchange: Exchange, live: LiveTargets): Promise<void> {
  const state = await live.state(exchange.query.get('target'));
  const headers = { 'Content-Type': 'application/json; charset=utf-8' };
  if (state !== undefined) exchange.send(headers, JSON.stringify(state));
  else exchange.send(headers, JSON.stringify({ targets: live.names } satisfies NoSuchTarget), 404);
}
