/**
 * /debug/pprof/heap?debug=1, and allocs: both sides in the text of runtime/pprof. Whoever asks while one is being made gets
 * that one.
 */
import type { Profile } from 'pprof-format';
import type { Upstream } from '../collect/upstream.js';
import { type GoHeapText, parseGoHeapText } from '../merge/go-heap-text.js';
import { legacyHeapText } from '../merge/legacy-heap-text.js';
import { isCAlone, withWayToC } from './c-alone.js';
import { type Exchange, NO_SNIFF, PLAIN_TEXT } from './exchange.js';
import { ofOneProcess } from './one-process.js';
import type { ServedTarget, Snapshot, SnapshotQuery } from './served-target.js';
import { UnderWay } from './under-way.js';

/** Bytes of the service's text. */
const MAX_TEXT = 256 * 2 ** 20;

/** Per target, by whether Go collects first; or of the C side alone. */
const underWay = new WeakMap<ServedTarget, UnderWay<boolean | 'c', Uint8Array>>();

/** @throws HttpError or CgoprofError */
export async function answerHeapText(exchange: Exchange, target: ServedTarget, name: 'heap' | 'allocs'): Promise<void> {
  const gc = name === 'heap' && exchange.integer('gc') > 0;
  const text = await sharedText(target, { gc, cAlone: isCAlone(exchange) });
  exchange.send({ ...NO_SNIFF, 'Content-Type': PLAIN_TEXT }, text);
}

async function sharedText(target: ServedTarget, query: Required<SnapshotQuery>): Promise<Uint8Array> {
  const ofTarget = underWay.get(target) ?? new UnderWay<boolean | 'c', Uint8Array>();
  underWay.set(target, ofTarget);
  return ofTarget.share(query.cAlone ? 'c' : query.gc, target.current(), () => makeText(target, query));
}

async function makeText(target: ServedTarget, { gc, cAlone }: Required<SnapshotQuery>): Promise<Uint8Array> {
  const text = await ofOneProcess(target, async ({ end }) => {
    const { upstream } = target;
    const isAsked = !cAlone && end === undefined;
    return isAsked && upstream ? withService(target, upstream, gc) : ofSnapshot(target, cAlone);
  });
  return Buffer.from(text);
}

/** Go first, whose collection may run finalizers that free C memory. */
async function withService(target: ServedTarget, upstream: Upstream, gc: boolean): Promise<string> {
  const go = await readText(upstream, gc);
  const { target: read, c, symbolized } = await target.newCPart();
  // The text itself does not tell whose it is.
  const note = await target.goNote(read, symbolized.segment);
  return legacyHeapText({ go, profiles: [c], notes: note === undefined ? [] : [note] });
}

/** @throws CgoprofError */
async function readText(upstream: Upstream, gc: boolean): Promise<GoHeapText> {
  try {
    const { bytes, name } = await upstream.read('heap', gc ? '?gc=1&debug=1' : '?debug=1', MAX_TEXT);
    return parseGoHeapText(bytes, name);
  } catch (error) {
    throw withWayToC(error);
  }
}

/** Of C alone, or of a process that has ended: there is no text of Go's, but maybe its last profile. */
async function ofSnapshot(target: ServedTarget, cAlone: boolean): Promise<string> {
  const snapshot = await target.snapshot({ gc: false, cAlone });
  return legacyHeapText({ go: undefined, profiles: profilesOf(snapshot), notes: snapshot.notes });
}

/** What is in a text that no service had a part in. In this order, on which addresses depend. */
export function profilesOf({ c, go }: Pick<Snapshot, 'c' | 'go'>): readonly Profile[] {
  return go === undefined ? [c] : [go.profile, c];
}
