/**
 * Symbols of the modules of a long-running tool's targets, in memory: what was asked once is not read from a file again.
 * Addresses of which nothing lasting is known are asked about again after a while, and not at each scrape.
 */
import type { ModuleSymbols, SymbolStore } from './symbol-cache.js';
import type { ResolvedLocation } from './symbolize-segment.js';

/** Modules beyond which the one used longest ago goes: those of a target that is gone. */
const MAX_MODULES = 4096;

/** How long a debug file that is installed may go unnoticed, ms. */
const PASSING_MS = 60_000;

interface Passing {
  readonly symbols: Map<bigint, ResolvedLocation>;
  /** As Date.now has it. */
  readonly until: number;
}

export class SymbolMemory implements SymbolStore {
  readonly #modules = new Map<string, ModuleSymbols>();
  readonly #passing = new Map<string, Passing>();

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

  passing(key: string): ModuleSymbols {
    return this.#current(key)?.symbols ?? new Map();
  }

  /** What comes later goes with what came first, so that all of it is asked about in one go. */
  keepInPassing(key: string, symbols: ModuleSymbols): void {
    const current = this.#current(key) ?? { symbols: new Map(), until: Date.now() + PASSING_MS };
    for (const [address, symbol] of symbols) current.symbols.set(address, symbol);
    this.#passing.set(key, current);
  }

  #current(key: string): Passing | undefined {
    const passing = this.#passing.get(key);
    if (passing === undefined || passing.until > Date.now()) return passing;
    this.#passing.delete(key);
    return undefined;
  }

  #remember(key: string, symbols: ModuleSymbols): void {
    this.#modules.delete(key);
    this.#modules.set(key, symbols);
    const [oldest] = this.#modules.keys();
    if (this.#modules.size <= MAX_MODULES || oldest === undefined) return;
    this.#modules.delete(oldest);
    this.#passing.delete(oldest);
  }
}
