/**
 * Symbols of the modules of a long-running tool's targets, in memory: what was asked once is not read from a file again.
 */
import type { ModuleSymbols, SymbolStore } from './symbol-cache.js';

/** Modules beyond which the one used longest ago goes: those of a target that is gone. */
const MAX_MODULES = 4096;

export class SymbolMemory implements SymbolStore {
  readonly #modules = new Map<string, ModuleSymbols>();

  /** @param behind Where they are looked for first, and kept as well. */
  constructor(private readonly behind: SymbolStore) {}

  async load(key: string): Promise<ModuleSymbols> {
    const known = this.#modules.get(key) ?? (await this.behind.load(key));
    this.#remember(key, known);
    return known;
  }

  async store(key: string, symbols: ModuleSymbols): Promise<void> {
    this.#remember(key, symbols);
    await this.behind.store(key, symbols);
  }

  #remember(key: string, symbols: ModuleSymbols): void {
    this.#modules.delete(key);
    this.#modules.set(key, symbols);
    const [oldest] = this.#modules.keys();
    if (this.#modules.size > MAX_MODULES && oldest !== undefined) this.#modules.delete(oldest);
  }
}
