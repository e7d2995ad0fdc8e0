/**
 * /debug/pprof/heap?debug=1, and allocs: both sides in the text of runtime/pprof. Whoever asks while one is being made gets
 * that one.
 */
import type { Profile } from 'pprof-format';
import type { Upstream } from '../collect/upstream.js';
import { CgoprofError } from '../errors.js';
import { parseGoHeapText } from '../merge/go-heap-text.js';
import { legacyHeapText } from '../merge/legacy-heap-text.js';
import { type Exchange, NO_SNIFF, PLAIN_TEXT } from './exchange.js';
import type { ServedTarget, Snapshot } from './served-target.js';

/** Bytes of the service's text. */
const MAX_TEXT = 256 * 2 ** 20;

/** Per target, by whether Go collects first. */
const underWay = new WeakMap<ServedTarget, Map<boolean, Promise<Uint8Array>>>();

/** @throws HttpError or CgoprofError */
export async function answerHeapText(exchange: Exchange, target: ServedTarget, name: 'heap' | 'allocs'): Promise<void> {
  const gc = name === 'heap' && exchange.integer('gc') > 0;
  exchange.send({ ...NO_SNIFF, 'Content-Type': PLAIN_TEXT }, await sharedText(target, gc));
}

function sharedText(target: ServedTarget, gc: boolean): Promise<Uint8Array> {
  const ofTarget = underWay.get(target) ?? new Map<boolean, Promise<Uint8Array>>();
  underWay.set(target, ofTarget);
  const begun = ofTarget.get(gc) ?? makeText(target, gc).finally(() => ofTarget.delete(gc));
  ofTarget.set(gc, begun);
  return begun;
}

async function makeText(target: ServedTarget, gc: boolean): Promise<Uint8Array> {
  const isAsked = target.current().end === undefined;
  const text = isAsked && target.upstream ? await withService(target, target.upstream, gc) : await ofSnapshot(target);
  return Buffer.from(text);
}

/** Go first, whose collection may run finalizers that free C memory. */
async function withService(target: ServedTarget, upstream: Upstream, gc: boolean): Promise<string> {
  const asked = target.current();
  const { bytes, name } = await upstream.read('heap', gc ? '?gc=1&debug=1' : '?debug=1', MAX_TEXT);
  const go = parseGoHeapText(bytes, name);
  const { target: read, c } = await target.newCPart();
  // What answers for a process that has ended meanwhile may be another.
  if (read !== asked) {
    throw new CgoprofError({ what: target.name, why: 'its process ended while it was looked at', hint: 'Try again.' });
  }
  return legacyHeapText({ go, profiles: [c], notes: [] });
}

/** Of C alone, or of a process that has ended: there is no text of Go's, but maybe its last profile. */
async function ofSnapshot(target: ServedTarget): Promise<string> {
  const snapshot = await target.snapshot({ gc: false });
  return legacyHeapText({ go: undefined, profiles: profilesOf(snapshot), notes: snapshot.notes });
}

/** What is in a text that no service had a part in. In this order, on which addresses depend. */
export function profilesOf({ c, go }: Pick<Snapshot, 'c' | 'go'>): readonly Profile[] {
  return go === undefined ? [c] : [go.profile, c];
}
