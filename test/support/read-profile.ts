/** A profile as plain values, read back from its encoded bytes. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { type Location, Profile } from 'pprof-format';

export interface ReadSample {
  /** Leaf first; a location's lines are joined by ` < `. */
  readonly stack: readonly string[];
  /** alloc_objects, alloc_space, inuse_objects, inuse_space. */
  readonly values: readonly (number | bigint)[];
  readonly labels: Readonly<Record<string, string | number | bigint>>;
}

export interface ReadProfile {
  readonly samples: readonly ReadSample[];
  readonly sampleTypes: readonly string[];
  readonly mappings: readonly string[];
  readonly comments: readonly string[];
  readonly period: number | bigint;
  readonly timeNanos: number | bigint;
}

function signed(value: number | bigint): number | bigint {
  const exact = BigInt.asIntN(64, BigInt(value));
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

export function readProfile(built: Profile): ReadProfile {
  const profile = Profile.decode(built.encode());
  const text = (index: number | bigint) => profile.stringTable.strings[Number(index)] ?? '<missing>';
  const functions = new Map(profile.function.map((fn) => [Number(fn.id), fn]));
  const describe = (location: Location | undefined) =>
    (location?.line ?? [])
      .map(({ functionId, line }) => {
        const fn = functions.get(Number(functionId));
        const file = text(fn?.filename ?? -1);
        return `${text(fn?.name ?? -1)}${file === '' ? '' : `@${file}:${line}`}`;
      })
      .join(' < ');
  const locations = new Map(profile.location.map((location) => [Number(location.id), describe(location)]));
  return {
    samples: profile.sample.map(({ locationId, value, label }) => ({
      stack: locationId.map((id) => locations.get(Number(id)) ?? '<missing>'),
      values: value.map(signed),
      labels: Object.fromEntries(
        label.map(({ key, str, num }) => [text(key), str === 0 ? signed(num) : text(str)] as const),
      ),
    })),
    sampleTypes: profile.sampleType.map(({ type, unit }) => `${text(type)}/${text(unit)}`),
    mappings: profile.mapping.map(({ filename }) => text(filename)),
    comments: profile.comment.map(text),
    period: signed(profile.period),
    timeNanos: signed(profile.timeNanos),
  };
}

/** A file as the tool writes them. */
export async function readProfileFile(path: string): Promise<ReadProfile> {
  return readProfile(Profile.decode(gunzipSync(await readFile(path))));
}
