// Measuring one program under one tool: instructions by callgrind, which repeat, and times, which do not and are taken
// in turns.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { environmentOf, takeSegment } from './bench-tools.mjs';
import { StepError } from './process.mjs';

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * @typedef {import('./bench-tools.mjs').Tool} Tool
 * @typedef {import('./bench-tools.mjs').Left} Left
 * @typedef {{ tools: Record<string, Tool>, programs: Record<string, string>, places: Record<string, string> }} Bench
 */

/**
 * Runs a workload to its end under a tool.
 *
 * @param {Bench} bench
 * @param {string} name of the tool
 * @param {string} workload
 * @param {number[]} args the workload's
 * @param {{ wrapper?: string[] }} [options] wrapper: what to put between tool and program
 * @returns {Promise<{ result: Record<string, number>, stderr: string, segment: Left | undefined }>} result: the line of
 *   JSON that the program prints; segment: what cgoprof recorded
 * @throws {StepError} when it cannot be started, fails, or prints no such line
 */
export async function runWorkload({ tools, programs, places }, name, workload, args, { wrapper = [] } = {}) {
  const program = programs[workload];
  const [command, ...rest] = tools[name].wrap([...wrapper, program, ...args.map(String)]);
  const env = { ...process.env, ...environmentOf(tools[name], program) };
  const { error, status, signal, stdout, stderr } = spawnSync(command, rest, { env, encoding: 'utf8' });
  if (error) throw new StepError(`${command}: ${error.message}`);
  if (status !== 0) throw new StepError(`${[command, ...rest].join(' ')}: ${signal ?? status}\n${stderr}`);
  if (stderr.includes('cannot be preloaded')) throw new StepError(`${name}: ${stderr.trimEnd()}`); // it would run bare
  const line = stdout.split('\n').find((text) => text.startsWith('{"'));
  if (line === undefined) throw new StepError(`${[command, ...rest].join(' ')}: no result`);
  const segment = await takeSegment(places.segments);
  if ((segment !== undefined) !== (tools[name].records === true))
    throw new StepError(`${name}: wrongly recorded or not`);
  return { result: JSON.parse(line), stderr, segment };
}

/**
 * Runs a workload under a tool, and callgrind.
 *
 * @param {Bench} bench
 * @param {string} name of the tool
 * @param {string} workload
 * @param {number[]} args the workload's
 * @param {{ within?: string }} [options] within: counts only inside functions of that name (a pattern)
 * @returns {Promise<{ total: number, byFunction: Map<string, number>, segment: Left | undefined }>} instructions of all
 *   threads, and of each function itself, by `OBJECT:FUNCTION`
 */
export async function countInstructions(bench, name, workload, args, { within = '' } = {}) {
  const file = join(bench.places.scratch, 'callgrind');
  const options = ['--compress-strings=no', '--compress-pos=no', `--callgrind-out-file=${file}`];
  const only = within ? [`--toggle-collect=${within}`] : [];
  const wrapper = ['valgrind', '-q', '--tool=callgrind', ...options, ...only];
  const { segment } = await runWorkload(bench, name, workload, args, { wrapper });
  return { ...readCallgrind(readFileSync(file, 'utf8')), segment };
}

/** Callgrind's file: `ob=` and `fn=` say whose lines follow, each a position and a cost; a call's is not its caller's. */
export function readCallgrind(text) {
  const byFunction = new Map();
  let object = '';
  let name = '';
  let total = Number.NaN;
  let isCall = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('ob=')) object = line.slice(3);
    else if (line.startsWith('fn=')) name = line.slice(3);
    else if (line.startsWith('totals:')) total = Number(line.slice(7));
    else if (/^\d/.test(line) && !isCall) {
      const key = `${object.split('/').at(-1)}:${name}`;
      byFunction.set(key, (byFunction.get(key) ?? 0) + Number(line.split(' ')[1] ?? 0));
    }
    isCall = line.startsWith('calls=');
  }
  if (Number.isNaN(total)) throw new StepError('callgrind wrote no totals');
  return { total, byFunction };
}

/** What each further unit costs: the slope between a short run and a long one, in which start-up has no part. */
export function slope(short, long, units) {
  return (long - short) / units;
}

/**
 * Figures of several variants, measured in turns, so that whatever else the machine does meets all of them alike.
 *
 * @param {Record<string, () => Promise<Record<string, number>>>} variants each runs once
 * @returns {Promise<Record<string, Record<string, number>>>} medians
 */
export async function inTurns(variants, rounds) {
  /** @type {Map<string, Record<string, number>[]>} */
  const runs = new Map(Object.keys(variants).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, figures] of runs) figures.push(await variants[name]());
  }
  const mediansOf = (figures) =>
    Object.fromEntries(Object.keys(figures[0]).map((key) => [key, median(figures.map((row) => row[key]))]));
  return Object.fromEntries([...runs].map(([name, figures]) => [name, mediansOf(figures)]));
}
