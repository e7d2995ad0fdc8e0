// Promise: attaching is something an operator dares to do: a service under load answers every request meanwhile, and lives
// on wherever the tool is killed.
//
// `npm run attach:rounds` is the long form, which measures.
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killAtEveryStep, killAtRandom } from '../../scripts/lib/attach-kills.mjs';
import { attachRounds, latencies } from '../../scripts/lib/attach-rounds.mjs';
import { compilePlugin } from '../support/attach-control.js';
import { Workshop } from '../support/cgoprof.js';
import { buildTargetAside } from '../support/profiled-target.js';
import { generator } from '../support/random.js';

const ROUNDS = 10;
const KILLS = 20;
const SEED = Number(process.env.CGOPROF_SEED ?? randomInt(2 ** 32));

let shop: Workshop;
let program: string;
let plugin: string;
beforeAll(async () => {
  shop = new Workshop();
  program = await buildTargetAside('attach-service');
  plugin = compilePlugin(shop);
});
afterAll(() => shop.remove());

const setting = () => ({
  program,
  plugin,
  tool: shop.tool,
  env: { PATH: process.env.PATH, HOME: shop.root, CGOPROF_DIR: shop.segments },
});

it(`${ROUNDS} rounds of attach and detach under load: every request is answered`, async () => {
  const done = await attachRounds(setting(), { rounds: ROUNDS, perProcess: ROUNDS / 2 });
  expect(done.rounds.map(({ isFirst }) => isFirst).filter(Boolean)).toHaveLength(2);
  expect(done.answers.filter(({ failure }) => failure !== '')).toEqual([]);
  // Something was at stake: in every second of them there were requests.
  for (const { before, during } of latencies(done)) expect(Math.min(before.length, during.length)).toBeGreaterThan(0);
});

it(`the tool is killed at ${KILLS} random moments: the service lives, and the next attach works`, async () => {
  let kills = 0;
  const onKill = () => {
    kills += 1;
  };
  await killAtRandom(setting(), { kills: KILLS, random: generator(SEED), onKill }).catch((cause: unknown) => {
    throw new Error(`CGOPROF_SEED=${SEED} draws the same moments`, { cause });
  });
  expect(kills).toBe(KILLS);
});

it(`... and at ${KILLS} of the calls by which it reaches into the service`, async () => {
  const { kills, steps } = await killAtEveryStep(setting(), { most: KILLS });
  expect(kills).toBe(Math.min(KILLS, steps));
});
