/**
 * Asks again and again for something that may fail, and keeps the last good answer: so the Go heap profile of a service
 * is at hand when the service is not any more.
 */

/** Until the first answer: a service needs a moment before it listens. Milliseconds. */
const EAGER_INTERVAL_MS = 500;

export class LastGood<T> {
  #value: T | undefined;
  #error: unknown;
  #timer: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();

  /** @param ask Never runs twice at a time; the signal says that its answer is not wanted any more. */
  constructor(
    private readonly ask: (cancel: AbortSignal) => Promise<T>,
    private readonly intervalMs: number,
  ) {}

  /** The last good answer; undefined when there was none. */
  get value(): T | undefined {
    return this.#value;
  }

  /** Why the last try failed; undefined when it did not. */
  get error(): unknown {
    return this.#error;
  }

  start(): void {
    this.#schedule();
  }

  /** A question that is still under way is called off. */
  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return;
    const wait = this.#value === undefined ? Math.min(EAGER_INTERVAL_MS, this.intervalMs) : this.intervalMs;
    this.#timer = setTimeout(() => void this.#tick(), wait);
  }

  async #tick(): Promise<void> {
    const { signal } = this.#stop;
    try {
      const value = await this.ask(signal);
      if (signal.aborted) return;
      this.#value = value;
      this.#error = undefined;
    } catch (error) {
      if (!signal.aborted) this.#error = error;
    }
    this.#schedule();
  }
}
