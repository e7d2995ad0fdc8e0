/**
 * A target of test/targets that runs for as long as a test wants: its output is waited for line by line, and it is told
 * what to do on its standard input. It ends with the test that started it, whatever becomes of that.
 */
import { onTestFinished } from 'vitest';
import type { Finished, RunningTool, StartOptions, Workshop } from './cgoprof.js';

/** Waits for something that tells nobody when it happens. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export class Service {
  readonly #tool: RunningTool;
  #output = '';
  #told = 0;

  private constructor(tool: RunningTool) {
    this.#tool = tool;
    tool.process.stdout?.on('data', (text: string) => {
      this.#output += text;
    });
  }

  /** Starts a command line that ends in the target, and waits until the target says that it is ready. */
  static async start(shop: Workshop, words: readonly string[], options: StartOptions = {}): Promise<Service> {
    const service = new Service(shop.launch(words, { ...options, stdin: 'pipe' }));
    onTestFinished(async () => {
      service.#tool.destroy();
      await service.finished;
    });
    await service.line(/^ready$/m);
    return service;
  }

  /** Starts a target under `cgoprof run ARGS --`. */
  static run(shop: Workshop, args: readonly string[], command: readonly string[], options: StartOptions = {}) {
    return Service.start(shop, [...shop.tool, 'run', ...args, '--', ...command], options);
  }

  /** What was started: `cgoprof run`, not the target under it. */
  get process() {
    return this.#tool.process;
  }

  get tool(): RunningTool {
    return this.#tool;
  }

  get finished(): Promise<Finished> {
    return this.#tool.finished;
  }

  /** As the target says. */
  get pid(): number {
    return Number(/^pid (\d+)$/m.exec(this.#output)?.[1]);
  }

  /** Base URL of its net/http/pprof. */
  get url(): string {
    return /^listening on (\S+)$/m.exec(this.#output)?.[1] ?? '';
  }

  /** What a pattern with the flag m first matches in the output. Rejects if that ends without it. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => pattern.exec(this.#output) ?? undefined, String(pattern));
  }

  /** Has one command carried out. */
  async obey(command: string): Promise<void> {
    this.tell(command);
    const told = ++this.#told;
    await this.#until(() => (this.#output.match(/^done$/gm)?.length ?? 0) >= told || undefined, `done: ${command}`);
  }

  /** Gives a command that nobody will be left to answer. */
  tell(command: string): void {
    this.process.stdin?.write(`${command}\n`);
  }

  /** Gives the command that ends it, and waits for the end of everything. */
  end(command: string): Promise<Finished> {
    this.tell(command);
    return this.finished;
  }

  #until<T>(find: () => T | undefined, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find();
        if (found === undefined) return;
        this.process.stdout?.off('data', look);
        resolve(found);
      };
      this.process.stdout?.on('data', look);
      void this.finished.then(({ stderr }) => reject(new Error(`ended before ${what}: ${this.#output}${stderr}`)));
      look();
    });
  }
}
