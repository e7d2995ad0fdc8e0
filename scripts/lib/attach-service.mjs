// A run of test/targets/attach-service that knows nothing of cgoprof, and the tool beside it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from './attach-load.mjs';
import { StepError } from './process.mjs';

/** What takes longer hangs. */
const LIMIT_MS = 30_000;

/** The plugin that the service loads, as a shared library. */
export const PLUGIN_SOURCE = 'test/targets/attach-service/plugin/plugin.c';

/**
 * @typedef {{ program: string, plugin: string, tool: readonly string[], env: NodeJS.ProcessEnv }} Setting program: the
 *   service; plugin: PLUGIN_SOURCE, compiled; tool: the words of a command line that stand for cgoprof; env: of both
 */

export class AttachService {
  pid = 0;
  url = '';
  #setting;
  #child;
  #exited;
  #output = '';

  /** @param {Setting} setting */
  constructor(setting) {
    this.#setting = setting;
    this.#child = spawn(setting.program, [setting.plugin], { env: setting.env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#exited = once(this.#child, 'exit');
  }

  /** @param {Setting} setting */
  static async start(setting) {
    const service = new AttachService(setting);
    for await (const text of service.#child.stdout.setEncoding('utf8')) {
      service.#output += text;
      if (service.#output.endsWith('ready\n')) break;
    }
    service.pid = Number(/^pid (\d+)$/m.exec(service.#output)?.[1]);
    service.url = /^listening on (\S+)$/m.exec(service.#output)?.[1] ?? '';
    if (service.url === '') throw new StepError(`the service did not start: ${service.#output}`);
    return service;
  }

  /**
   * Starts the tool on it: `attach PID --json` and the like.
   *
   * @param {'attach' | 'detach'} command
   * @param {{ flags?: readonly string[], before?: readonly string[] }} [options] before: words in front of the tool's own
   */
  tool(command, { flags = [], before = [] } = {}) {
    const words = [...before, ...this.#setting.tool, command, `${this.pid}`, '--json', ...flags];
    return new Tool(words, this.#setting.env);
  }

  /**
   * Attaches to it, or detaches from it.
   *
   * @param {'attach' | 'detach'} command
   * @param {readonly string[]} flags
   * @throws {StepError} when that is refused or hangs
   */
  async control(command, ...flags) {
    const { code, signal, stdout, stderr } = await this.tool(command, { flags }).finished;
    if (code !== 0) throw new StepError(`${command}: ${signal ?? `exit status ${code}`}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** @returns {Promise<any>} @throws {StepError} when it does not answer */
  async get(path) {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const response = await fetch(`${this.url}${path}`, { signal }).catch((error) => {
      throw new StepError(`${path}: no answer: ${error.message}`);
    });
    if (!response.ok) throw new StepError(`${path}: status ${response.status}`);
    return response.json();
  }

  /** What the canaries did. @throws {StepError} when one was disturbed */
  async canaries() {
    const { fault, ...done } = await this.get('/canaries');
    if (fault !== '') throw new StepError(`a canary was disturbed: ${fault}`);
    return done;
  }

  /** Waits until no thread of the library's and nobody's hold on a thread is left. @throws {StepError} when some stays */
  async untilAlone() {
    const deadline = now() + LIMIT_MS;
    for (let who = othersIn(this.pid); who !== ''; who = othersIn(this.pid)) {
      if (now() > deadline) throw new StepError(`after ${LIMIT_MS} ms there still is ${who}`);
      await sleep(5);
    }
  }

  /** Lets it end. @throws {StepError} when it does so by a failure */
  async end() {
    this.#child.stdin.end();
    const [code, signal] = await this.#exited;
    if (code !== 0) throw new StepError(`the service ended with ${signal ?? `exit status ${code}`}`);
  }

  destroy() {
    this.#child.kill('SIGKILL');
  }
}

/** A run of the tool. */
class Tool {
  /** @param {readonly string[]} words */
  constructor([program, ...args], env) {
    this.process = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.finished = this.#finish();
  }

  async #finish() {
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      this.process[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
      });
    }
    const limit = setTimeout(() => this.process.kill('SIGKILL'), LIMIT_MS);
    const [code, signal] = await once(this.process, 'close');
    clearTimeout(limit);
    return { code, signal, ...output };
  }
}

/** A thread of the library's in a process, or one that somebody traces or has stopped; '' when there is none. */
function othersIn(pid) {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readIfThere(`/proc/${pid}/task/${thread}/status`);
    const field = (name) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
    if (field('Name') === 'cgoprof') return `thread ${thread} of the library`;
    if (!['', '0'].includes(field('TracerPid'))) return `a tracer of thread ${thread}`;
    if (/^[Tt]/.test(field('State'))) return `thread ${thread}, ${field('State')}`;
  }
  return '';
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // The thread has ended.
  }
}
