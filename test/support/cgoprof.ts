/** Runs the built tool as people do: as a process of its own, whose words are read. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProcessRow } from '../../src/present/ps-table.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What of the project a user has installed. */
const INSTALLED = [
  'package.json',
  'dist',
  'build/Release/cgoprof.node',
  'out/native/lib/libcgoprof.so',
  'node_modules/commander',
  'node_modules/pprof-format',
  'node_modules/uplot',
  'node_modules/prom-client',
  'node_modules/@opentelemetry/api',
  'node_modules/tdigest',
  'node_modules/bintrees',
];

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningTool {
  readonly process: ChildProcess;
  /** Resolves when it has ended and everybody has closed its output. */
  readonly finished: Promise<Finished>;
  /** What it has said until now. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Ends it and the command that it started, if they still run. */
  destroy(): void;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Numeric user to become; needs root. */
  readonly uid?: number;
  /** Standard input; nothing by default. */
  readonly stdin?: 'pipe';
}

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // All of them have ended.
  }
}

/** A user that owns nothing. */
export const NOBODY = 65534;

/** A folder for one test file, with segments kept apart from everybody else's; and the tool, installed where all can read it. */
export class Workshop {
  readonly root = mkdtempSync(join(tmpdir(), 'cgoprof-e2e-'));
  readonly segments = join(this.root, 'segments');

  constructor() {
    chmodSync(this.root, 0o755);
    mkdirSync(this.segments, { mode: 0o700 });
    for (const path of INSTALLED) cpSync(join(ROOT, path), join(this.root, 'cgoprof', path), { recursive: true });
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  get library(): string {
    return this.path('cgoprof/out/native/lib/libcgoprof.so');
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, content: string | Uint8Array, mode = 0o644): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  }

  /** Compiles a C program. */
  compile(name: string, source: string, flags: readonly string[] = []): string {
    const path = this.path(name);
    execFileSync('cc', ['-g', '-O1', '-o', path, ...flags, this.write(`${name}.c`, source)]);
    return path;
  }

  /** The tool as words of a command line: node and its script. */
  get tool(): readonly [string, string] {
    return [process.execPath, this.path('cgoprof/dist/cli.js')];
  }

  start(args: readonly string[], options: StartOptions = {}): RunningTool {
    return this.launch([...this.tool, ...args], options);
  }

  /** Starts any command as {@link start} does the tool: in this folder, with segments kept here. */
  launch(words: readonly string[], options: StartOptions = {}): RunningTool {
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: this.root,
      CGOPROF_DIR: this.segments,
      ...options.env,
    };
    const ids = `${options.uid}`;
    const as = options.uid === undefined ? [] : ['setpriv', '--reuid', ids, '--regid', ids, '--clear-groups'];
    const [command = '', ...rest] = [...as, ...words];
    const child = spawn(command, rest, {
      env,
      cwd: this.root,
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const output = { stdout: '', stderr: '' };
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    const finished = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }));
    return { process: child, finished, output, destroy: () => killGroup(child.pid) };
  }

  run(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
    return this.start(args, options).finished;
  }

  /** What `cgoprof ps` lists, other people's processes too. */
  async ps(): Promise<ProcessRow[]> {
    return JSON.parse((await this.run(['ps', '--json'])).stdout) as ProcessRow[];
  }

  /** Of those the ones that run now and have their segments here. */
  async running(): Promise<ProcessRow[]> {
    const isHere = ({ segment }: ProcessRow) => segment.startsWith(`${this.segments}/`);
    return (await this.ps()).filter((row) => isHere(row) && row.state === 'running');
  }

  /** Names of the segments that are here, sorted. */
  segmentNames(): string[] {
    return readdirSync(this.segments).sort();
  }

  removeSegments(): void {
    for (const name of this.segmentNames()) rmSync(join(this.segments, name));
  }
}
