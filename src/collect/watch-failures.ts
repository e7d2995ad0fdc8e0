/**
 * Finds, while a command of `run` runs, its processes that were to be profiled and could not be: what the library left to
 * say why is gone as soon as they are.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mappedSegmentsIfOurs } from './mapped-segments.js';
import { listPids, processKey, readLivingStat } from './processes.js';

export interface FailedProcess {
  readonly pid: number;
  /** As the library says it: see start-failure.ts. */
  readonly word: string;
}

/** What is known of a process: that it is none of the run's, or what it ran when its mappings were read. */
type Known = 'other' | { readonly image: string; readonly settled: boolean };

/** A process that ends before the next look goes unseen. */
export class FailureWatch {
  /** Processes that were there at the last look, by pid. */
  #known = new Map<number, Known>();
  readonly #failed = new Map<string, FailedProcess>();

  constructor(
    private readonly procRoot: string,
    private readonly runId: string,
  ) {}

  get failed(): readonly FailedProcess[] {
    return [...this.#failed.values()];
  }

  /** Looks once. All processes of the machine pass by here: those of others are looked at once. */
  look(): void {
    const known = new Map<number, Known>();
    for (const pid of listPids(this.procRoot)) {
      const now = this.#meet(pid, this.#known.get(pid));
      if (now !== undefined) known.set(pid, now);
    }
    this.#known = known;
  }

  /** Undefined if there is nothing to be known of it yet, or no more. */
  #meet(pid: number, known: Known | undefined): Known | undefined {
    if (known === 'other') return known;
    if (known === undefined && !this.#isOfTheRun(pid)) return 'other';
    const stat = readLivingStat(this.procRoot, pid);
    if (stat === undefined) return undefined;
    const { image } = stat;
    if (known?.settled && known.image === image) return known;
    const word = mappedSegmentsIfOurs(this.procRoot, pid)?.failure;
    if (word !== undefined) this.#failed.set(processKey(pid, stat.startTimeTicks), { pid, word });
    // What is still being loaded at one look is loaded at the next.
    return { image, settled: word !== undefined || known?.image === image };
  }

  /**
   * The run's id is in the environment that it was started with. Where the library has taken it out, its text is still
   * there, but for the first letter.
   */
  #isOfTheRun(pid: number): boolean {
    try {
      const environment = readFileSync(join(this.procRoot, String(pid), 'environ'), 'latin1');
      return environment.includes(`GOPROF_RUN_ID=${this.runId}\0`);
    } catch {
      return false;
    }
  }
}
