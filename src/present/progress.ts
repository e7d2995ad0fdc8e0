/**
 * One line on a terminal that says how far slow work has come: shown only when it is slow, erased when it is done.
 */
import type { Context } from '../context.js';
import { oneLine } from '../errors.js';

/** Work that ends sooner is not worth a line. Milliseconds. */
const PATIENCE_MS = 1_000;
const REDRAW_MS = 100;
const ERASE_LINE = '\r\x1b[K';

export class Progress {
  #timer: NodeJS.Timeout | undefined;
  #text = '';
  #drawn = '';

  constructor(
    private readonly context: Pick<Context, 'stderrIsTerminal' | 'writeErr'>,
    private readonly label: string,
  ) {
    if (context.stderrIsTerminal) this.#timer = setTimeout(() => this.#draw(), PATIENCE_MS);
  }

  /** @param detail What is being worked on: a path, of which the end is shown. */
  update(done: number, total: number, detail: string): void {
    const percent = total > 0 ? Math.floor((done * 100) / total) : 0;
    this.#text = `${this.label} ${percent}% ${oneLine(detail).slice(-40)}`;
  }

  /** Leaves the terminal as it was. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#drawn !== '') this.context.writeErr(ERASE_LINE);
    this.#drawn = '';
  }

  #draw(): void {
    if (this.#text !== this.#drawn) this.context.writeErr(ERASE_LINE + this.#text);
    this.#drawn = this.#text;
    this.#timer = setTimeout(() => this.#draw(), REDRAW_MS);
  }
}
