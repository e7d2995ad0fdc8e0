// Running other programs: one place that decides what is shown, what is kept quiet, and how a failure reads.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/** The repository's root; every script works from there. */
export const ROOT = resolve(import.meta.dirname, '../..');

/** A failure that a person can act on: shown as one line plus the hint, never as a stack trace. */
export class StepError extends Error {
  constructor(message, hint = '') {
    super(message);
    this.hint = hint;
  }
}

/** Prints what is being done. Scripts talk on stderr; stdout is left to the programs they run. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** The first of `names` that is an executable file on the PATH or in `extraFolders`; '' when there is none. */
export function findProgram(names, extraFolders = []) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...extraFolders].filter(Boolean);
  for (const name of [names].flat()) {
    const hit = folders.map((folder) => join(folder, name)).find(isExecutable);
    if (hit) return hit;
  }
  return '';
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs a program to its end.
 *
 * @param {string[]} command program and arguments; never goes through a shell
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean }} [options] env is added to ours; quiet: output is
 *   held back and shown only on failure
 * @throws {StepError} when it cannot be started or does not exit with 0
 */
export function run(command, { cwd = ROOT, env = {}, quiet = false } = {}) {
  const [program, ...args] = command;
  const result = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    maxBuffer: 1 << 28,
  });
  if (result.error) throw new StepError(`${program}: ${result.error.message}`);
  if (result.status === 0) return;
  if (quiet) process.stderr.write(`${result.stdout}${result.stderr}`);
  throw new StepError(`${command.join(' ')}: ${result.signal ?? `exit status ${result.status}`}`);
}

/** Whether a program exits with 0. Its output is dropped. */
export function succeeds(command) {
  const [program, ...args] = command;
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** Runs a program and returns its standard output. @throws {StepError} as run does. */
export function capture(command, { cwd = ROOT, env = {} } = {}) {
  const [program, ...args] = command;
  const result = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (result.error) throw new StepError(`${program}: ${result.error.message}`);
  if (result.status !== 0) throw new StepError(`${command.join(' ')}: exit status ${result.status}\n${result.stderr}`);
  return result.stdout;
}

/** Runs a script's main function; a StepError becomes one line, its hint and exit status 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    say(`failed: ${error.message}`);
    if (error.hint) say(`hint: ${error.hint}`);
    process.exitCode = 1;
  }
}

/** The program in node_modules/.bin. */
export function nodeBin(name) {
  return join(ROOT, 'node_modules/.bin', name);
}
