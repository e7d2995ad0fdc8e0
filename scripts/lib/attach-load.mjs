// A load on test/targets/attach-service, made by a thread of its own so that what this process does beside it does not
// delay it: 8 connections, each of which asks again when it was answered and a rest is over.
import { Agent, get } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const CONNECTIONS = 8;
const REST_MS = 10;
const LIMIT_MS = 10_000;

/** Every so many requests of a connection one that loads and unloads a library, and one that collects Go's garbage. */
const PLUGIN_EVERY = 7;
const GC_EVERY = 31;

/** Milliseconds of a clock that all threads have in common. */
export const now = () => performance.timeOrigin + performance.now();

/** @typedef {{ start: number, ms: number, failure: string }} Answer failure: why there was none; '' when there was */

export class Load {
  #worker;
  #answers;

  /** @param {string} url of the service */
  constructor(url) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: url });
    this.#answers = new Promise((resolve, reject) => {
      this.#worker.once('message', resolve);
      this.#worker.once('error', reject);
    });
  }

  /** Ends it. @returns {Promise<Answer[]>} what came of every request, in the order of their ends */
  async stop() {
    this.#worker.postMessage('stop');
    return this.#answers;
  }
}

/** @returns {Promise<Answer>} */
function ask(url, agent) {
  const start = now();
  return new Promise((resolve) => {
    const end = (failure) => resolve({ start, ms: now() - start, failure });
    const request = get(url, { agent, timeout: LIMIT_MS }, (response) => {
      response.resume().once('error', ({ message }) => end(message));
      response.once('end', () => end(response.statusCode === 200 ? '' : `status ${response.statusCode}`));
    });
    request.once('timeout', () => request.destroy(new Error(`no answer in ${LIMIT_MS} ms`)));
    request.once('error', ({ message }) => end(message));
  });
}

async function loadUntilStopped(url) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const answers = [];
  let goesOn = true;
  const connection = async (_, index) => {
    for (let number = index; goesOn; number++) {
      const query = [number % PLUGIN_EVERY === 0 ? 'plugin' : '', number % GC_EVERY === 0 ? 'gc' : ''];
      answers.push(await ask(`${url}/work?${query.filter(Boolean).join('&')}`, agent));
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
  };
  parentPort?.once('message', () => {
    goesOn = false;
  });
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  agent.destroy();
  parentPort?.postMessage(answers);
}

if (!isMainThread) await loadUntilStopped(workerData);
