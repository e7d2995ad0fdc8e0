/**
 * Answers on their way to clients: what those who read slowly make us hold is bounded.
 */
import type { ServerResponse } from 'node:http';

/** Bytes, of profiles that are no longer anybody else's: dozens of large ones. */
export const MAX_BYTES = 64 * 2 ** 20;

export class Unread {
  /** The one that has waited longest first. */
  readonly #answers = new Map<ServerResponse, Uint8Array>();
  /** Answers per body: one body may go to many. */
  readonly #readers = new Map<Uint8Array, number>();
  #bytes = 0;

  constructor(private readonly maxBytes = MAX_BYTES) {}

  /** Held at present. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts a body until its answer is over. Beyond the bound the answers that have waited longest are cut off. */
  add(answer: ServerResponse, body: Uint8Array): void {
    if (answer.closed) return;
    this.#answers.set(answer, body);
    const readers = this.#readers.get(body) ?? 0;
    this.#readers.set(body, readers + 1);
    if (readers === 0) this.#bytes += body.length;
    answer.once('close', () => this.#remove(answer));
    for (const [oldest] of this.#answers) {
      if (this.#bytes <= this.maxBytes || oldest === answer) break;
      this.#remove(oldest);
      oldest.destroy();
    }
  }

  #remove(answer: ServerResponse): void {
    const body = this.#answers.get(answer);
    if (body === undefined) return;
    this.#answers.delete(answer);
    const readers = (this.#readers.get(body) ?? 1) - 1;
    if (readers > 0) {
      this.#readers.set(body, readers);
    } else {
      this.#readers.delete(body);
      this.#bytes -= body.length;
    }
  }
}
