/**
 * What makes a pprof profile a heap profile: the names that runtime/pprof writes (protomem.go), which every file that
 * leaves this tool keeps, so that `go tool pprof` treats it as Go's own and -base and -diff_base accept either.
 */
import type { Profile, Sample, ValueType } from 'pprof-format';

/** Sample types in Go's order. Viewers show the last one unless asked otherwise. */
export const SAMPLE_TYPES = [
  { type: 'alloc_objects', unit: 'count' },
  { type: 'alloc_space', unit: 'bytes' },
  { type: 'inuse_objects', unit: 'count' },
  { type: 'inuse_space', unit: 'bytes' },
] as const;

export const PERIOD_TYPE = { type: 'space', unit: 'bytes' } as const;

/** Numeric label: average size of the sample's blocks, bytes. Go writes it without a unit. */
export const BYTES_LABEL = 'bytes';

/** String label: who handed the memory out. For `-tagroot=allocator` and `-tagfocus=allocator=c`. */
export const ALLOCATOR_LABEL = 'allocator';

/** Whether C's allocator handed the sample's memory out. */
export function isFromC(profile: Profile, sample: Sample): boolean {
  const { strings } = profile.stringTable;
  return sample.label.some(({ key, str }) => strings[Number(key)] === ALLOCATOR_LABEL && strings[Number(str)] === 'c');
}

export function holdsCMemory(profile: Profile): boolean {
  return profile.sample.some((sample) => isFromC(profile, sample));
}

function describe(types: readonly { type: string; unit: string }[]): string {
  return types.map(({ type, unit }) => `${type}/${unit}`).join(', ');
}

/** Why a profile is not a heap profile, one clause; '' when it is one. */
export function heapTypeMismatch(profile: Profile): string {
  const text = (index: number | bigint) => profile.stringTable.strings[Number(index)] ?? '';
  const read = ({ type, unit }: ValueType) => ({ type: text(type), unit: text(unit) });
  const samples = describe(profile.sampleType.map(read));
  if (samples !== describe(SAMPLE_TYPES)) {
    return `not a heap profile: its sample types are ${samples || 'missing'}, not ${describe(SAMPLE_TYPES)}`;
  }
  const period = describe(profile.periodType === undefined ? [] : [read(profile.periodType)]);
  if (period !== describe([PERIOD_TYPE])) {
    return `not a heap profile: its period type is ${period || 'missing'}, not ${describe([PERIOD_TYPE])}`;
  }
  return '';
}
