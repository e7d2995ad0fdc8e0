/** Test targets (test/targets) under `cgoprof run`, held where they have done their work. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { targetExecutable } from '../../scripts/build-targets.mjs';
import type { ProcessRow } from '../../src/present/ps-table.js';
import type { Finished, RunningTool, Workshop } from './cgoprof.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);

export interface TargetBuild {
  /** Folder of the build under out/targets/NAME, where it stays for the next time; and of its flags, where it has some. */
  readonly variant?: string;
  /** Path of the go command. */
  readonly go?: string;
  /** GOTOOLCHAIN. */
  readonly toolchain?: string;
  readonly flags?: readonly string[];
}

/** Builds a target, in a process of its own: a test runner that is blocked for a minute gives a worker up. */
export async function buildTargetAside(name: string, build: TargetBuild = {}): Promise<string> {
  const { variant = '', go, toolchain, flags = [] } = build;
  const options = [
    ...(variant ? ['--variant', variant] : []),
    ...(go ? ['--go', go] : []),
    ...(toolchain ? ['--toolchain', toolchain] : []),
    ...flags.map((flag) => `--go-flag=${flag}`),
  ];
  await execute(process.execPath, [`${ROOT}scripts/build-targets.mjs`, name, ...options]);
  return join(ROOT, targetExecutable(name, variant));
}

/** A target that prints "ready" when it has done its work, and ends when it is given a line. */
export class ProfiledTarget {
  private constructor(
    private readonly shop: Workshop,
    private readonly tool: RunningTool,
    /** What it printed before "ready". */
    readonly printed: string,
    /** As `cgoprof ps` has it. */
    readonly process: ProcessRow,
  ) {}

  /** @param output File for the profile at the end, in the workshop. */
  static async start(
    shop: Workshop,
    executable: string,
    output: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<ProfiledTarget> {
    const tool = shop.start(['run', '--rate', '1', '-o', shop.path(output), '--', executable], { stdin: 'pipe', env });
    const printed = await untilReady(tool);
    const own = await shop.running();
    if (own.length !== 1 || own[0] === undefined) throw new Error(`one process is running, not ${own.length}`);
    return new ProfiledTarget(shop, tool, printed, own[0]);
  }

  /** Takes a profile now. @returns the file */
  async heap(output: string, ...flags: string[]): Promise<string> {
    const path = this.shop.path(output);
    const { code, stderr } = await this.shop.run(['heap', `${this.process.pid}`, '-o', path, ...flags]);
    if (code !== 0 || !existsSync(path)) throw new Error(`heap: exit status ${code}: ${stderr}`);
    return path;
  }

  /** Lets it go on to its end. */
  async end(): Promise<Finished> {
    this.tool.process.stdin?.end('\n');
    return this.tool.finished;
  }

  destroy(): void {
    this.tool.destroy();
  }
}

/** What a target prints before "ready". */
async function untilReady(tool: RunningTool): Promise<string> {
  const ready = new Promise<string>((resolve) => {
    let printed = '';
    tool.process.stdout?.on('data', (text: string) => {
      printed += text;
      if (printed.endsWith('ready\n')) resolve(printed.slice(0, -'ready\n'.length));
    });
  });
  const early = tool.finished.then(({ code, signal, stderr }) => {
    throw new Error(`it ended (${signal ?? `exit status ${code}`}) before it was ready: ${stderr}`);
  });
  return Promise.race([ready, early]);
}
