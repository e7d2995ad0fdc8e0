// Whether a build step has anything left to do: the hash of everything it reads, remembered beside what it made.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './process.mjs';

const STAMPS = join(ROOT, 'out/stamps');

/** The files under `path` (a file or a folder, relative to the root), sorted; nothing when it does not exist. */
export function filesUnder(path) {
  const absolute = join(ROOT, path);
  if (!existsSync(absolute)) return [];
  if (!statSync(absolute).isDirectory()) return [path];
  return readdirSync(absolute, { withFileTypes: true })
    .filter((entry) => entry.name !== 'node_modules')
    .flatMap((entry) => filesUnder(join(path, entry.name)))
    .sort();
}

function hashOf(inputs, facts) {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  for (const file of inputs.flatMap(filesUnder)) hash.update(`\0${file}\0`).update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}

/**
 * Runs `work` unless the same inputs were built before and every output is still there.
 *
 * Contents are compared, not times: a fresh checkout or a switch of branches touches times without changing anything.
 *
 * @param {{ name: string, inputs: string[], outputs: string[], facts?: unknown[] }} step name of the stamp file; inputs are
 *   files and folders, outputs files; facts: anything else the result depends on, such as a compiler's version or flags
 * @param {() => void} work throws when it fails; then nothing is remembered
 * @returns {boolean} whether the work was done
 */
export function unlessUpToDate({ name, inputs, outputs, facts = [] }, work) {
  const stamp = join(STAMPS, name.replaceAll('/', '-'));
  const hash = hashOf(inputs, facts);
  const known = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (known === hash && outputs.every((file) => existsSync(join(ROOT, file)))) return false;
  rmSync(stamp, { force: true });
  work();
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(stamp, hash);
  return true;
}
