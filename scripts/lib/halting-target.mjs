// A program under `cgoprof run` that stands still now and then, so that what the tool says of it can be compared with what
// it says of itself: it prints rows, its pid and "ready", and goes on when it is given a line.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT, StepError } from './process.mjs';

const CLI = [process.execPath, join(ROOT, 'dist/cli.js')];

export class HaltingTarget {
  /** As the program says; 0 before its first halt. */
  pid = 0;
  #tool;
  #env;
  #child;
  #exited;
  #lines;

  /**
   * @param {readonly string[]} command the program and its arguments
   * @param {{ rate: number, env: NodeJS.ProcessEnv, tool?: readonly string[] }} options tool: the words of a command line
   *   that stand for cgoprof
   */
  constructor(command, { rate, env, tool = CLI }) {
    this.#tool = tool;
    this.#env = env;
    const [node, ...words] = this.#words('run', '--rate', String(rate), '--', ...command);
    this.#child = spawn(node, words, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#exited = once(this.#child, 'exit');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** @returns {string[]} */
  #words(...args) {
    return [...this.#tool, ...args];
  }

  /** Waits until it stands still. @returns the rows it has printed that begin with "site", without that word */
  async halt() {
    const rows = [];
    for (;;) {
      const { value: line, done } = await this.#lines.next();
      if (done) throw new StepError('the program ended before it was ready');
      const [word, ...rest] = line.split(' ');
      if (word === 'ready') return rows;
      if (word === 'pid') this.pid = Number(rest[0]);
      if (word === 'site') rows.push(rest);
    }
  }

  /** What `cgoprof heap --json` says now. @throws {StepError} when anything was lost */
  heap() {
    const [node, ...words] = this.#words('heap', String(this.pid), '--go', 'none', '--json');
    const report = JSON.parse(execFileSync(node, words, { env: this.#env, maxBuffer: 1 << 28 }).toString());
    const losses = Object.entries(report.losses).map(([counter, count]) => `${counter} ${count}`);
    if (losses.length > 0) throw new StepError(`lost: ${losses.join(', ')}`);
    return report;
  }

  goOn() {
    this.#child.stdin.write('\n');
  }

  /** Lets it end. @throws {StepError} when it does so by a failure */
  async end() {
    this.#child.stdin.end();
    const [code] = await this.#exited;
    if (code !== 0) throw new StepError(`the program ended with ${code ?? 'a signal'}`);
  }
}
