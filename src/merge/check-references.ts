/** CheckValid of google/pprof and what its decoder checks before: everything that a profile refers to is in it. */
import type { Profile } from 'pprof-format';
import { type Int64, int64 } from './int64.js';

/** More are not looked at one by one in reasonable time; a process has some hundreds. */
const MAX_MAPPINGS = 2 ** 14;

type Id = number | bigint;

function collectIds(what: string, items: readonly { id: Id }[]): ReadonlySet<Int64> {
  const ids = new Set<Int64>();
  for (const item of items) {
    const id = int64(item.id);
    if (id === 0) throw new RangeError(`a ${what} has no id`);
    if (ids.has(id)) throw new RangeError(`two ${what}s have the id ${id}`);
    ids.add(id);
  }
  return ids;
}

function requireId(what: string, ids: ReadonlySet<Int64>, reference: Id): void {
  const id = int64(reference);
  if (!ids.has(id)) throw new RangeError(`it refers to ${what} ${id}, which is missing`);
}

function requireStrings(profile: Profile, indexes: Iterable<Id>): void {
  const count = profile.stringTable.strings.length;
  for (const index of indexes) {
    const position = int64(index);
    if (position < 0 || position >= count) throw new RangeError(`it refers to string ${position} of ${count}`);
  }
}

function* stringIndexes(profile: Profile): Generator<Id> {
  for (const { type, unit } of [...profile.sampleType, ...(profile.periodType ? [profile.periodType] : [])]) {
    yield type;
    yield unit;
  }
  for (const { filename, buildId } of profile.mapping) yield* [filename, buildId];
  for (const { name, systemName, filename } of profile.function) yield* [name, systemName, filename];
  for (const { label } of profile.sample) for (const { key, str, numUnit } of label) yield* [key, str, numUnit];
  yield* [profile.dropFrames, profile.keepFrames, profile.defaultSampleType, profile.docUrl, ...profile.comment];
}

/** @throws RangeError with one clause */
export function checkReferences(profile: Profile): void {
  if (profile.stringTable.strings[0] !== '') throw new RangeError('its first string is not the empty one');
  if (profile.mapping.length > MAX_MAPPINGS) throw new RangeError(`it has more than ${MAX_MAPPINGS} mappings`);
  requireStrings(profile, stringIndexes(profile));
  const mappings = collectIds('mapping', profile.mapping);
  const functions = collectIds('function', profile.function);
  const locations = collectIds('location', profile.location);
  for (const { mappingId, line } of profile.location) {
    if (int64(mappingId) !== 0) requireId('mapping', mappings, mappingId);
    for (const { functionId } of line) requireId('function', functions, functionId);
  }
  for (const { locationId, value } of profile.sample) {
    if (value.length !== profile.sampleType.length) {
      throw new RangeError(`a sample has ${value.length} values for ${profile.sampleType.length} sample types`);
    }
    for (const id of locationId) requireId('location', locations, id);
  }
}
