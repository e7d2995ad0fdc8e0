// How often the intervals that `cgoprof heap --json` states hold the truth: over rounds in which test/targets/sites-mix
// allocates the same anew.
//
// A round's estimates tell nothing about the next one's, though the process is the same: a block is sampled if a point of
// a Poisson process falls on it, such a process has no memory, and what is freed between rounds leaves nothing in use.
// For the same reason the functions of one size, of which there are five, are five measurements.
import { HaltingTarget } from './halting-target.mjs';

const RATE = 524288;

/**
 * @param {string} executable
 * @param {number} rounds
 * @param {{ env: NodeJS.ProcessEnv, onRound: (round: number) => void }} options
 * @returns {Promise<{ size: number, blocks: number, truth: number, estimates: any[] }[]>} a row for each size of blocks, 0
 *   for many sizes; the estimates are those of bytes in use
 */
export async function measureCoverage(executable, rounds, { env, onRound }) {
  const target = new HaltingTarget([executable], { rate: RATE, env });
  const rows = new Map();
  try {
    const sites = (await target.halt()).map(([name, ...numbers]) => [name, ...numbers.map(Number)]);
    for (const [, size, blocks, truth] of sites) rows.set(size, { size, blocks, truth, estimates: [] });
    for (let round = 1; round <= rounds; round++) {
      if (round > 1) await target.halt();
      const estimates = inUseByFunction(target.heap());
      for (const [name, size] of sites) rows.get(size).estimates.push(estimates(name));
      onRound(round);
      target.goOn();
    }
  } finally {
    await target.end();
  }
  return [...rows.values()];
}

/** Bytes in use by function; of one that is not listed, what the report says about those. */
function inUseByFunction({ sites, sampling }) {
  const known = new Map(sites.map((site) => [site.function, site.inUse.bytes]));
  const unlisted = { estimate: 0, standardError: 0, low: 0, high: sampling.c.unlistedBytes };
  return (name) => known.get(name) ?? unlisted;
}
