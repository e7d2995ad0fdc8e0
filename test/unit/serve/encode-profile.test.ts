import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { expect, it } from 'vitest';
import { encodeProfile } from '../../../src/serve/encode-profile.js';
import { goProfile } from '../../support/go-profile-fixture.js';

const profile = () => goProfile({ samples: [{ stack: ['main.main@m.go:3'], values: [1, 8, 1, 8] }] });
const defaultType = ({ stringTable, defaultSampleType }: Profile) => stringTable.strings[Number(defaultSampleType)];

it('a profile is compressed as fast as gzip can, which a scrape waits for', async () => {
  const FASTEST = 4; // XFL, RFC 1952 section 2.3.1
  expect((await encodeProfile(profile(), ''))[8]).toBe(FASTEST);
});

it.each(['', 'alloc_space'] as const)('viewers are told to show %j first', async (first) => {
  expect(defaultType(Profile.decode(gunzipSync(await encodeProfile(profile(), first))))).toBe(first);
});
