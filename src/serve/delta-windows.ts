/** Windows of time in which changes are observed: few at once, since each keeps what was read when it was opened. */
import { HttpError } from './exchange.js';

const MAX_AT_ONCE = 16;

export class DeltaWindows {
  #open = 0;

  /** Counts one for as long as `act` takes. @throws HttpError 503 when there are too many */
  async during<T>(act: () => Promise<T>): Promise<T> {
    if (this.#open === MAX_AT_ONCE) {
      const busy = `cgoprof: ${MAX_AT_ONCE} profiles over some seconds are being taken already`;
      throw new HttpError(503, busy, { 'Retry-After': '1' });
    }
    this.#open += 1;
    try {
      return await act();
    } finally {
      this.#open -= 1;
    }
  }
}
