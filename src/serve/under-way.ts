/**
 * Work that is under way, for whoever asks for the same meanwhile. Of a process: whoever asks after its end, or a restart,
 * is not to get what was before.
 */
import type { FollowedSegment } from '../collect/followed-target.js';

export class UnderWay<Key, Result> {
  readonly #begun = new Map<Key, { readonly of: FollowedSegment; readonly result: Promise<Result> }>();

  /** What is under way by that key, of that process; otherwise it is begun. */
  async share(key: Key, of: FollowedSegment, begin: () => Promise<Result>): Promise<Result> {
    const known = this.#begun.get(key);
    if (known?.of === of) return known.result;
    const begun = { of, result: begin() };
    this.#begun.set(key, begun);
    return begun.result.finally(() => this.#begun.get(key) === begun && this.#begun.delete(key));
  }
}
