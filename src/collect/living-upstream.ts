/**
 * The service of a process that may end: it is asked while the process lives and no longer, since by then another may
 * listen at its address.
 */
import type { IncomingMessage } from 'node:http';
import { CgoprofError } from '../errors.js';
import { endNote, type FollowedSegment } from './followed-target.js';
import type { GoHeapBytes } from './go-heap.js';
import { type HeapQuery, type PageQuery, Upstream } from './upstream.js';

export class LivingUpstream extends Upstream {
  /**
   * @param current What stands for the process now; throws while nothing does.
   * @throws CgoprofError (usage) unless `text` is an http or https URL
   */
  constructor(
    text: string,
    private readonly current: () => FollowedSegment,
  ) {
    super(text);
  }

  override async heap(query: HeapQuery, cancel?: AbortSignal): Promise<GoHeapBytes> {
    this.#checkLives();
    return super.heap(query, cancel);
  }

  override async open(name: string, query: PageQuery, cancel: AbortSignal): Promise<IncomingMessage> {
    this.#checkLives();
    return super.open(name, query, cancel);
  }

  #checkLives(): void {
    const note = endNote(this.current());
    if (note === undefined) return;
    throw new CgoprofError({ what: this.name, why: 'not asked any more', hint: note });
  }
}
