import { gzipSync } from 'node:zlib';
import { type Profile, Sample, type ValueType } from 'pprof-format';
import { describe, expect, test } from 'vitest';
import { CgoprofError } from '../../../src/errors.js';
import { parseHeapProfile } from '../../../src/merge/go-profile.js';
import { ProfileError } from '../../../src/merge/profile-error.js';
import { goProfile } from '../../support/go-profile-fixture.js';
import { readProfile } from '../../support/read-profile.js';

const SAMPLE = {
  stack: ['main.grow@main.go:31 < main.fill@main.go:40', 'main.main@main.go:5'],
  values: [7, 7147, 3, 2n ** 53n + 7n],
  labels: { bytes: 1021 },
};

/** The error that parsing raises; its message names the profile, as every one must. */
function refusal(bytes: Uint8Array): ProfileError {
  try {
    parseHeapProfile(bytes, 'heap.pb.gz', { maxBytes: 2 ** 20, maxRecords: 1000 });
  } catch (error) {
    expect(error).toBeInstanceOf(ProfileError);
    expect(error).toBeInstanceOf(CgoprofError);
    expect((error as ProfileError).message).toMatch(/^heap\.pb\.gz: [^\n]+[^.\n]$/);
    return error as ProfileError;
  }
  throw new Error('it was accepted');
}

function why(bytes: Uint8Array): string {
  return refusal(bytes).message.replace('heap.pb.gz: ', '');
}

function damaged(change: (profile: Profile) => void): string {
  const profile = goProfile({ samples: [SAMPLE] });
  change(profile);
  return why(profile.encode());
}

describe('accepted', () => {
  const expected = { ...SAMPLE, labels: { allocator: 'go', bytes: 1021 } };

  test.each([
    ['gzipped', (bytes: Uint8Array) => gzipSync(bytes)],
    ['plain', (bytes: Uint8Array) => bytes],
  ])('%s', (_, pack) => {
    const profile = parseHeapProfile(pack(goProfile({ samples: [SAMPLE] }).encode()), 'heap');
    expect(readProfile(profile).samples).toEqual([expected]);
  });

  test('labels of the allocator stay as they are', () => {
    const own = { ...SAMPLE, labels: { allocator: 'c', bytes: 1021 } };
    const profile = parseHeapProfile(goProfile({ samples: [own, SAMPLE] }).encode(), 'merged');
    expect(readProfile(profile).samples.map(({ labels }) => labels.allocator)).toEqual(['c', 'go']);
  });

  test('repeated numbers that are not packed, as proto2 writers leave them', () => {
    const { length } = goProfile({ samples: [] }).encode();
    const bytes = Buffer.concat([
      goProfile({ samples: [] }).encode(),
      Buffer.from([18, 8, 16, 1, 16, 2, 16, 3, 16, 4]),
    ]);
    expect(bytes).toHaveLength(length + 10);
    expect(readProfile(parseHeapProfile(bytes, 'heap')).samples[0]?.values).toEqual([1, 2, 3, 4]);
  });
});

describe('not a profile', () => {
  test.each([
    ['empty', '', 'empty'],
    ['HTML', '\n<!DOCTYPE html><html>', 'an HTML page, not a profile'],
    ['plain words', '404 page not found\n', /^not a pprof profile, or a damaged one: /],
    ['JSON', '{"error": 1}', /^not a pprof profile, or a damaged one: /],
    ['zeros', '\0\0\0\0', /^not a pprof profile, or a damaged one: /],
  ])('%s', (_, text, reason) => {
    expect(why(Buffer.from(text))).toMatch(reason);
    if (text !== '') expect(why(gzipSync(text))).toMatch(reason);
  });

  test('text form, with what to do about it', () => {
    const error = refusal(Buffer.from('heap profile: 3: 3027 [7: 7147] @ heap/1048576\n'));
    expect(error.message).toBe('heap.pb.gz: a profile in text form');
    expect(error.hint).toBe('Leave debug=1 out of the URL.');
  });

  test('gzip that holds nothing', () => {
    expect(why(gzipSync(''))).toBe(
      'not a heap profile: its sample types are missing, not alloc_objects/count, alloc_space/bytes, inuse_objects/count, inuse_space/bytes',
    );
  });
});

describe('half a profile', () => {
  const bytes = goProfile({ samples: [SAMPLE] }).encode();

  test('gzip that ends early', () => {
    const packed = gzipSync(bytes);
    for (const length of [2, 10, 20, packed.length - 9, packed.length - 1]) {
      expect(why(packed.subarray(0, length))).toBe('truncated: the gzip data ends early');
    }
  });

  test('gzip with a flipped bit', () => {
    const packed = gzipSync(bytes);
    packed[packed.length - 6] = (packed[packed.length - 6] ?? 0) ^ 1;
    expect(why(packed)).toBe('damaged: the gzip data cannot be unpacked');
  });

  test('protobuf cut anywhere, even between two records', () => {
    // The last record is the period, a tag and three bytes. What is left without it is whole.
    const withoutPeriod = bytes.length - 4;
    for (let length = 1; length < bytes.length; length++) {
      if (length === withoutPeriod) continue;
      expect(why(bytes.subarray(0, length)), `${length} bytes`).not.toBe('');
    }
  });
});

describe('bounds', () => {
  test('a gzip bomb is not unpacked', () => {
    expect(why(gzipSync(Buffer.alloc(2 ** 20 + 1)))).toBe('larger than 1048576 bytes when unpacked');
  });

  test('large plain input', () => {
    expect(why(Buffer.alloc(2 ** 20 + 1))).toBe('larger than 1048576 bytes');
  });

  test.each([
    ['samples', [18, 0]],
    ['strings', [50, 0]],
    ['lines', [34, 2, 34, 0]],
  ])('more %s than anyone has', (_, record) => {
    const records = Buffer.concat(Array.from({ length: 1001 }, () => Buffer.from(record)));
    expect(why(records)).toBe('not a pprof profile, or a damaged one: it has more than 1000 records');
  });

  test('more mappings than anyone has', () => {
    const mappings = Array.from({ length: 2 ** 14 + 1 }, (_, i) => ({
      start: BigInt(i),
      limit: 0n,
      offset: 0n,
      file: '',
    }));
    const bytes = goProfile({ samples: [], mappings }).encode();
    expect(() => parseHeapProfile(bytes, 'heap')).toThrow('heap: a damaged profile: it has more than 16384 mappings');
  });
});

describe('wire format', () => {
  test.each([
    ['a varint without an end', [72, 0x80, 0x80], 'it ends in mid-record'],
    ['a varint of eleven bytes', [72, ...Array(10).fill(0xff), 1], 'it has a number of more than 64 bits'],
    ['a length beyond the end', [18, 5, 10, 0], 'it ends in mid-record'],
    ['a length of 2^63', [18, ...Array(9).fill(0xff), 1], 'it ends in mid-record'],
    ['a message that ends in mid-field', [18, 1, 10, 0], 'it ends in mid-record'],
    ['a packed list that ends in mid-number', [18, 3, 10, 1, 0x80], 'it ends in mid-record'],
    ['field 16', [0x80, 1, 0], 'it has a field that profiles do not'],
    ['field 0', [0, 0], 'it has a field that profiles do not'],
    ['a fixed64', [73, 0, 0, 0, 0, 0, 0, 0, 0], 'it has a field of the wrong type'],
    ['a number for a message', [16, 1], 'it has a field of the wrong type'],
    ['bytes for a number', [74, 1, 0], 'it has a field of the wrong type'],
  ])('%s', (_, bytes, reason) => {
    expect(why(Buffer.from(bytes))).toBe(`not a pprof profile, or a damaged one: ${reason}`);
  });
});

describe('references', () => {
  const ids = (what: 'mapping' | 'function' | 'location', id: number) => (profile: Profile) => {
    for (const item of profile[what]) item.id = id;
  };

  test.each<[string, (profile: Profile) => void, string | RegExp]>([
    ['mapping without id', ids('mapping', 0), 'a mapping has no id'],
    ['two mappings of one id', ids('mapping', 5), 'two mappings have the id 5'],
    ['function without id', ids('function', 0), 'a function has no id'],
    ['two functions of one id', ids('function', 5), 'two functions have the id 5'],
    ['location without id', ids('location', 0), 'a location has no id'],
    ['two locations of one id', ids('location', 5), 'two locations have the id 5'],
    ['unknown location', (p) => p.location.splice(0, 1), 'it refers to location 1, which is missing'],
    ['unknown function', (p) => p.function.splice(0, 1), 'it refers to function 1, which is missing'],
    ['unknown mapping', (p) => p.mapping.splice(0, 1), 'it refers to mapping 1, which is missing'],
    ['string beyond the table', (p) => Object.assign(p.function[0] ?? {}, { name: 999 }), /string 999 of \d+/],
    ['string at 2^40', (p) => Object.assign(p.mapping[0] ?? {}, { buildId: 2n ** 40n }), /string 1099511627776 of/],
    ['string at -1', (p) => Object.assign(p, { comment: [-1] }), /string -1 of/],
    [
      'too few values',
      (p) => Object.assign(p.sample[0] ?? {}, { value: [1, 2, 3] }),
      'a sample has 3 values for 4 sample types',
    ],
    [
      'a sample without values',
      (p) => p.sample.push(new Sample({ locationId: [1] })),
      'a sample has 0 values for 4 sample types',
    ],
  ])('%s', (_, change, reason) => {
    expect(damaged(change)).toMatch(reason);
    expect(damaged(change)).toMatch(/^a damaged profile: /);
  });

  test('a string table that does not begin with the empty string', () => {
    expect(why(Buffer.from([50, 1, 65]))).toBe('a damaged profile: its first string is not the empty one');
  });

  test('a location in no mapping is fine', () => {
    const profile = goProfile({ samples: [SAMPLE], mappings: [] });
    expect(readProfile(parseHeapProfile(profile.encode(), 'heap')).samples).toHaveLength(1);
  });
});

describe('other profiles', () => {
  test.each([
    ['a CPU profile', ['samples/count', 'cpu/nanoseconds']],
    ['a mutex profile', ['contentions/count', 'delay/nanoseconds']],
    ['a heap profile of tcmalloc', ['objects/count', 'space/bytes']],
    [
      'Go’s types in another order',
      ['inuse_objects/count', 'inuse_space/bytes', 'alloc_objects/count', 'alloc_space/bytes'],
    ],
  ])('%s', (_, sampleTypes) => {
    const reason = why(goProfile({ samples: [], sampleTypes }).encode());
    expect(reason).toBe(
      `not a heap profile: its sample types are ${sampleTypes.join(', ')}, ` +
        'not alloc_objects/count, alloc_space/bytes, inuse_objects/count, inuse_space/bytes',
    );
  });

  test.each(['cpu/nanoseconds', 'space/'])('with period type %s', (periodType) => {
    const reason = why(goProfile({ samples: [], periodType }).encode());
    expect(reason).toBe(`not a heap profile: its period type is ${periodType}, not space/bytes`);
  });

  test('without a period type', () => {
    const profile = goProfile({ samples: [] });
    profile.periodType = undefined as unknown as ValueType;
    expect(why(profile.encode())).toBe('not a heap profile: its period type is missing, not space/bytes');
  });
});
