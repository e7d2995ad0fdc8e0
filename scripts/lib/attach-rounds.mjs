// Rounds of attaching to a service under load and detaching from it again, and what its clients noticed of them.
import { setTimeout as sleep } from 'node:timers/promises';
import { Load, now } from './attach-load.mjs';
import { AttachService } from './attach-service.mjs';

const SECOND = 1000;
const REST_MS = 200;

/**
 * @typedef {import('./attach-load.mjs').Answer} Answer
 * @typedef {import('./attach-service.mjs').Setting} Setting
 * @typedef {object} Round
 * @property {boolean} isFirst whether the library was loaded in it
 * @property {number} start of the command
 * @property {number} stoppedMs
 * @property {number} attempts
 */

/**
 * Does so many rounds, in a process of its own for every so many. Each is a second of nothing, one in which the tool
 * attaches, and a rest after it has detached.
 *
 * @param {Setting} setting
 * @param {{ rounds: number, perProcess: number, onRound?: (round: number) => void }} options
 * @returns {Promise<{ rounds: Round[], answers: Answer[] }>}
 * @throws {import('./process.mjs').StepError} when anything is refused or hangs, or a canary was disturbed
 */
export async function attachRounds(setting, { rounds, perProcess, onRound = () => {} }) {
  /** @type {{ rounds: Round[], answers: Answer[] }} */
  const done = { rounds: [], answers: [] };
  while (done.rounds.length < rounds) {
    const service = await AttachService.start(setting);
    try {
      const load = new Load(service.url);
      const last = Math.min(done.rounds.length + perProcess, rounds);
      for (let first = true; done.rounds.length < last; first = false) {
        done.rounds.push({ isFirst: first, ...(await attachOnce(service)) });
        onRound(done.rounds.length);
      }
      done.answers.push(...(await load.stop()));
      await service.canaries();
      await service.end();
    } finally {
      service.destroy();
    }
  }
  return done;
}

/** @param {AttachService} service */
async function attachOnce(service) {
  await sleep(SECOND);
  const start = now();
  const { stoppedNs, attempts } = await service.control('attach');
  await sleep(start + SECOND - now());
  await service.control('detach');
  await sleep(REST_MS);
  return { start, stoppedMs: stoppedNs / 1e6, attempts };
}

/** The value below which a share of them lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/**
 * Latencies in the second that begins with each attach, and in the one before it.
 *
 * @param {{ rounds: Round[], answers: Answer[] }} done
 */
export function latencies({ rounds, answers }) {
  const within = (from) => answers.filter(({ start }) => start >= from && start < from + SECOND).map(({ ms }) => ms);
  return rounds.map(({ start }) => ({ before: within(start - SECOND), during: within(start) }));
}
