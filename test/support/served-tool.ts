/** A tool that serves: waits until it listens, and asks it as scrapers and people do. */
import { writeFileSync } from 'node:fs';
import { expect, onTestFinished } from 'vitest';
import type { Finished, RunningTool, Workshop } from './cgoprof.js';
import { until } from './service.js';

export interface Answered {
  readonly status: number;
  readonly text: string;
}

export class ServingTool {
  /** @param tool One that says on its standard error where it listens, as does `run --serve`. */
  constructor(readonly tool: RunningTool) {}

  /** Starts `cgoprof serve ARGS` on a port that is free. It ends with the test. */
  static async start(shop: Workshop, ...args: readonly string[]): Promise<ServingTool> {
    const serving = new ServingTool(shop.start(['serve', ...args, '--listen', '127.0.0.1:0']));
    onTestFinished(async () => {
      serving.tool.destroy();
      await serving.tool.finished;
    });
    await serving.listening();
    return serving;
  }

  get stderr(): string {
    return this.tool.output.stderr;
  }

  get url(): string {
    return /^cgoprof: listening on (http:\/\/\S+?);/m.exec(this.stderr)?.[1] ?? '';
  }

  /** Resolves once it says so, and rejects if it ends before. */
  async listening(): Promise<void> {
    await this.said(/^cgoprof: listening on /m);
  }

  /** Resolves once it has said something of that kind, and rejects if it ends before. */
  async said(pattern: RegExp): Promise<void> {
    let early: Finished | undefined;
    void this.tool.finished.then((finished) => {
      early = finished;
    });
    await until(() => pattern.test(this.stderr) || early !== undefined);
    expect(this.stderr).toMatch(pattern);
  }

  async get(path: string): Promise<Answered> {
    const response = await fetch(`${this.url}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** Writes a profile that it serves to a file. @returns the file */
  async fetchTo(path: string, file: string): Promise<string> {
    const response = await fetch(`${this.url}${path}`);
    const body = Buffer.from(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`${path}: status ${response.status}: ${body}`);
    writeFileSync(file, body);
    return file;
  }

  /** What ends it in the foreground, or in a container. */
  async end(signal: NodeJS.Signals): Promise<Finished> {
    this.tool.process.kill(signal);
    return this.tool.finished;
  }
}
