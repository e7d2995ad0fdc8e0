/** A merged profile as it is sent. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Profile } from 'pprof-format';

/** The sample type that viewers show first; '': the last. */
export type DefaultType = '' | 'alloc_space';

/** Gzipped as fast as runtime/pprof does. The profile is given away: it gets the sample type. */
export function encodeProfile(profile: Profile, defaultType: DefaultType): Promise<Uint8Array> {
  if (defaultType !== '') profile.defaultSampleType = profile.stringTable.dedup(defaultType);
  return promisify(gzip)(profile.encode(), { level: 1 });
}
