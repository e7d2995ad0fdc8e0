/**
 * At most so many at a time, the rest in the order in which they came: what all clients together can make this process
 * do at once is bounded.
 */
import { HttpError } from './exchange.js';

export interface TurnLimits {
  readonly atOnce: number;
  /** How long one may wait for its turn, ms. */
  readonly maxWaitMs: number;
}

/** Work of our own, on one processor as a rule: more at once end no sooner, and take the memory of each. */
export const SNAPSHOTS: TurnLimits = { atOnce: 4, maxWaitMs: 10_000 };

export class Turns {
  #taken = 0;
  /** In order. */
  readonly #waiting = new Set<() => void>();

  constructor(private readonly limits = SNAPSHOTS) {}

  /** Does it when it is its turn. @throws HttpError 503 when that is too long to wait for */
  async take<T>(act: () => Promise<T>): Promise<T> {
    if (this.#taken === this.limits.atOnce) await this.#wait();
    else this.#taken += 1;
    try {
      return await act();
    } finally {
      this.#handOn();
    }
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting.delete(begin);
        reject(new HttpError(503, 'cgoprof: busy with other requests', { 'Retry-After': '1' }));
      };
      const timer = setTimeout(giveUp, this.limits.maxWaitMs);
      const begin = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.add(begin);
    });
  }

  #handOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
