/** Defects of ours that end nothing: our own user is told of each, once, since what led to it may come again and again. */
import type { Context } from '../context.js';
import { reportError } from '../present/error-lines.js';

/** With numbers in their words there may be many. */
const MAX_TOLD = 100;

export class DefectLog {
  readonly #told = new Set<string>();

  constructor(private readonly context: Context) {}

  tell(error: unknown): void {
    const { text } = reportError(error, this.context.env);
    if (this.#told.has(text) || this.#told.size === MAX_TOLD) return;
    this.#told.add(text);
    this.context.writeErr(text);
  }
}
