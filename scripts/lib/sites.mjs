// What a target's sites.json promises, and what a merged profile says about each of its sites.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROOT } from './process.mjs';

/**
 * The sites of a target, each with the absolute path of its file and the number of the line its marker is on.
 *
 * @param {string} target a folder of test/targets that has a sites.json
 */
export function readSites(target) {
  const folder = join(ROOT, 'test/targets', target);
  const { sites } = JSON.parse(readFileSync(join(folder, 'sites.json'), 'utf8'));
  return sites.map((site) => {
    const path = join(folder, site.file);
    const lines = readFileSync(path, 'utf8').split('\n');
    const line = lines.findIndex((text) => text.trimEnd().endsWith(`// site: ${site.name}`)) + 1;
    if (line === 0) throw new Error(`${path}: no line is marked "// site: ${site.name}"`);
    return { ...site, path, line };
  });
}

/**
 * In-use bytes per site of a merged profile: the sum over the samples that have the site's line in their stack.
 *
 * @returns {Promise<number[]>} in the order of `sites`
 */
export async function inUseBytes(file, sites) {
  const { Profile } = await import('pprof-format'); // not at the top: the scripts set node_modules up first
  const profile = Profile.decode(gunzipSync(readFileSync(file)));
  const strings = profile.stringTable.strings;
  const valueIndex = profile.sampleType.findIndex((type) => strings[Number(type.type)] === 'inuse_space');
  const functions = new Map(profile.function.map((entry) => [String(entry.id), strings[Number(entry.filename)]]));
  const keyOf = (path, line) => `${path}:${line}`;
  const linesOf = (location) =>
    location.line.map(({ functionId, line }) => keyOf(functions.get(String(functionId)), line));
  const locations = new Map(profile.location.map((location) => [String(location.id), linesOf(location)]));
  const totals = new Map(sites.map(({ path, line }) => [keyOf(path, line), 0]));
  for (const sample of profile.sample) {
    const keys = new Set(sample.locationId.flatMap((id) => locations.get(String(id)) ?? []));
    for (const key of keys) {
      if (totals.has(key)) totals.set(key, totals.get(key) + Number(sample.value[valueIndex]));
    }
  }
  return sites.map(({ path, line }) => totals.get(keyOf(path, line)));
}
