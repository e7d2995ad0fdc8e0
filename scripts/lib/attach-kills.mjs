// Kills of the tool while it attaches: the process that it was at lives on, and the next attach works.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from './attach-load.mjs';
import { AttachService } from './attach-service.mjs';
import { StepError } from './process.mjs';

const MOST_TRIES = 10;

/** The system calls by which the tool acts on another process. */
const REACHING = 'ptrace,process_vm_readv,process_vm_writev,pwrite64';

/** @typedef {import('./attach-service.mjs').Setting} Setting */

/**
 * What is done, and what then is killed.
 *
 * @type {[('attach' | 'detach')[], 'attach' | 'detach'][]}
 */
const TURNS = [
  [[], 'attach'],
  [['attach', 'detach'], 'attach'],
  [['attach'], 'detach'],
];

/** Calls `body` with a service that nobody has attached to yet. */
async function withService(setting, body) {
  const service = await AttachService.start(setting);
  try {
    const result = await body(service);
    await service.canaries();
    await service.end();
    return result;
  } finally {
    service.destroy();
  }
}

/** What has to hold after a kill. @throws {StepError} when it does not */
async function expectWell(service) {
  await service.get('/work?plugin&gc');
  await service.untilAlone();
  await service.control('attach');
  await service.get('/work?plugin&gc');
  await service.control('detach');
  await service.canaries();
}

/**
 * Kills the tool so often, each time at another random moment of the time that attaching takes: in turns while it attaches
 * for the first time, which loads the library; while it does so again; and while it detaches. A kill that comes too late is
 * none.
 *
 * @param {Setting} setting
 * @param {{ kills: number, random?: () => number, onKill?: (kill: number) => void }} options
 */
export async function killAtRandom(setting, { kills, random = Math.random, onKill = () => {} }) {
  const attachMs = await withService(setting, async (service) => {
    const start = now();
    await service.control('attach');
    return now() - start;
  });
  for (let tries = 0, done = 0; done < kills; tries++) {
    if (tries > MOST_TRIES * kills) throw new StepError(`${done} of ${tries} kills came in time`);
    const afterMs = random() * attachMs;
    if (!(await killAfter(afterMs, TURNS[tries % TURNS.length], setting))) continue;
    done++;
    onKill(done);
  }
}

/** @returns {Promise<boolean>} whether the tool was still there */
function killAfter(afterMs, [before, command], setting) {
  return withService(setting, async (service) => {
    for (const earlier of before) await service.control(earlier);
    const tool = service.tool(command);
    await sleep(afterMs);
    tool.process.kill('SIGKILL');
    const { signal } = await tool.finished;
    await expectWell(service).catch((cause) => {
      throw new StepError(
        `killed after ${afterMs.toFixed(2)} ms of ${[...before, command].join(', ')}: ${cause.message}`,
      );
    });
    return signal !== null;
  });
}

/**
 * Kills the tool at its first system call that reaches into the process, at its second in another process, and so on; or
 * at so many of them, spread evenly.
 *
 * @param {Setting} setting
 * @param {{ most?: number, onKill?: (kill: number) => void }} options
 * @returns {Promise<{ kills: number, steps: number }>}
 */
export async function killAtEveryStep(setting, { most = Number.POSITIVE_INFINITY, onKill = () => {} }) {
  const steps = await withService(setting, countSteps);
  const kills = Math.min(steps, most);
  for (let kill = 0; kill < kills; kill++) {
    const step = 1 + Math.floor((kill * steps) / kills);
    await withService(setting, async (service) => {
      const inject = ['-e', `trace=${REACHING}`, '-e', `inject=${REACHING}:signal=KILL:when=${step}`];
      await service.tool('attach', { before: ['strace', '-f', '-qq', '-o', '/dev/null', ...inject] }).finished;
      await expectWell(service).catch((cause) => {
        throw new StepError(`killed at step ${step} of ${steps}: ${cause.message}`);
      });
    });
    onKill(kill + 1);
  }
  return { kills, steps };
}

/** How many such calls attaching takes. @param {AttachService} service */
async function countSteps(service) {
  const folder = mkdtempSync(join(tmpdir(), 'cgoprof-steps-'));
  try {
    const calls = join(folder, 'calls');
    const trace = ['strace', '-f', '-qq', '-e', `trace=${REACHING}`, '-e', 'signal=none', '-o', calls];
    const { code, stderr } = await service.tool('attach', { before: trace }).finished;
    if (code !== 0) throw new StepError(`attach: exit status ${code}: ${stderr}`);
    const steps = readFileSync(calls, 'utf8').match(/^\d+ +(ptrace|process_vm|pwrite64)/gm)?.length ?? 0;
    if (steps === 0) throw new StepError('attaching took no system call that reaches into the process');
    return steps;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
