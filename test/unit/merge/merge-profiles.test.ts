import { describe, expect, test } from 'vitest';
import { CSide, cProfile } from '../../../src/merge/c-profile.js';
import { parseHeapProfile } from '../../../src/merge/go-profile.js';
import { mergeProfiles } from '../../../src/merge/merge-profiles.js';
import { GO_MAPPINGS, type GoProfileTable, type GoSample, goProfile } from '../../support/go-profile-fixture.js';
import { readProfile } from '../../support/read-profile.js';
import { MAIN, type SegmentTable, symbolizedSegment } from '../../support/segment-fixture.js';

/** As the tool does it: through bytes. */
function parsed(table: GoProfileTable) {
  return parseHeapProfile(goProfile(table).encode(), 'go.pb.gz');
}

function fromSegment(table: SegmentTable) {
  return cProfile(symbolizedSegment(table), { showPlumbing: false, timeNanos: 2_000n });
}

const GO_SAMPLE: GoSample = {
  stack: ['main.grow@main.go:31', 'main.main@main.go:5'],
  values: [7, 7147, 7, 7147],
  labels: { bytes: 1021 },
};
const C_BUCKET = { allocs: 3, allocBytes: 3027, frees: 1, freeBytes: 1009 };

test('the C side goes in as it is or as a profile of it', () => {
  const table: SegmentTable = {
    rate: 524288,
    buckets: [
      { allocs: 13, allocBytes: 6815731, stack: ['leak@leak.c:7', 'main.main@main.go:5'] },
      { ...C_BUCKET, stack: ['leak@leak.c:9', 'main.grow@main.go:31', 'main.main@main.go:5'] },
    ],
  };
  const side = new CSide(symbolizedSegment(table), { showPlumbing: false, timeNanos: 2_000n });
  const go = parsed({ samples: [GO_SAMPLE], timeNanos: 3_000n });
  for (const profiles of [[go], []]) {
    const merged = readProfile(mergeProfiles({ go: profiles, c: [side] }));
    expect(merged.samples).toHaveLength(2 + profiles.length);
    expect(merged).toEqual(readProfile(mergeProfiles({ go: profiles, c: [fromSegment(table)] })));
  }
});

describe('both sides', () => {
  const go = parsed({ samples: [GO_SAMPLE], timeNanos: 3_000n });
  const c = fromSegment({
    rate: 524288,
    buckets: [{ allocs: 13, allocBytes: 6815731, stack: ['leak@leak.c:7', 'main.main@main.go:5'] }],
  });
  const merged = mergeProfiles({ go: [go], c: [c], comments: ['cgoprof 1.2.3'] });

  test('are told apart by the allocator label', () => {
    expect(readProfile(merged).samples).toEqual([
      { ...GO_SAMPLE, labels: { allocator: 'go', bytes: 1021 } },
      {
        stack: ['leak@leak.c:7', 'main.main@main.go:5'],
        values: [20, 10782339, 20, 10782339],
        labels: { allocator: 'c', bytes: 524287 },
      },
    ]);
  });

  test('share functions and the main binary, and leave unused mappings behind', () => {
    const { strings } = merged.stringTable;
    const names = merged.function.map(({ name }) => strings[Number(name)]);
    expect(names).toEqual(['main.grow', 'main.main', 'leak']);
    expect(readProfile(merged).mappings).toEqual(['/srv/app']);
    expect(merged.mapping.every((mapping) => mapping.hasFunctions)).toBe(true);
  });

  test('make one header', () => {
    const { comments, timeNanos, period, sampleTypes } = readProfile(merged);
    expect(timeNanos).toBe(2000);
    expect(period).toBe(524288);
    expect(sampleTypes).toEqual(readProfile(go).sampleTypes);
    expect(comments).toEqual(['cgoprof: C allocations were sampled once per 524288 bytes on average', 'cgoprof 1.2.3']);
    expect(merged.defaultSampleType).toBe(0);
  });

  test('merging what was merged doubles the values and changes nothing else', () => {
    const again = parseHeapProfile(merged.encode(), 'merged.pb.gz');
    const doubled = readProfile(mergeProfiles({ go: [again, again], c: [] }));
    const once = readProfile(merged);
    const samples = once.samples.map((sample) => ({
      ...sample,
      values: sample.values.map((value) => Number(value) * 2),
    }));
    expect(doubled).toEqual({ ...once, samples });
    expect(readProfile(mergeProfiles({ go: [], c: [again] }))).toEqual(once);
  });
});

describe('locations', () => {
  const address = 0x402345n;
  const line = 'main.main@main.go:5';

  function mergedLocations(mapping: Partial<(typeof GO_MAPPINGS)[number]>, module: Partial<typeof MAIN>) {
    const mappings = [{ ...GO_MAPPINGS[0], ...mapping } as (typeof GO_MAPPINGS)[number]];
    const go = parsed({ samples: [{ ...GO_SAMPLE, stack: [`${line} +${address}`] }], mappings });
    const { segment } = symbolizedSegment({
      modules: [{ ...MAIN, ...module }],
      buckets: [{ ...C_BUCKET, stack: ['f'] }],
    });
    const [bucket] = segment.buckets;
    const frames = BigUint64Array.of(address + 1n);
    const buckets = bucket === undefined ? [] : [{ ...bucket, frames }];
    const lines = [{ name: 'main.main', systemName: 'main.main', file: 'main.go', line: 5, startLine: 0 }];
    const locations = new Map([[MAIN.id, new Map([[address + 1n, { lines, isGo: true }]])]]);
    const c = cProfile({ segment: { ...segment, buckets }, locations }, { showPlumbing: false });
    const merged = mergeProfiles({ go: [go], c: [c] });
    return { addresses: merged.location.map((location) => location.address), mappings: merged.mapping.length };
  }

  test('of a Go function are one on both sides', () => {
    expect(mergedLocations({}, {})).toEqual({ addresses: [address], mappings: 1 });
  });

  test('... where Go has whole pages and the module the bytes of its ELF segment', () => {
    const module = { textStart: 0x4011c0n, textOffset: 0x11c0n, textEnd: 0x47a123n };
    expect(mergedLocations({}, module)).toEqual({ addresses: [address], mappings: 1 });
  });

  test('... where there is no build id and the path tells', () => {
    expect(mergedLocations({ buildId: '' }, { textEnd: 0x47a123n })).toEqual({ addresses: [address], mappings: 1 });
  });

  test('... but not of another build of the same path', () => {
    expect(mergedLocations({ buildId: 'cc03' }, {})).toEqual({ addresses: [address, address], mappings: 2 });
  });

  test('... nor where another file lay at the same place', () => {
    const other = { file: '/srv/other', buildId: '' };
    expect(mergedLocations(other, {})).toEqual({ addresses: [address, address], mappings: 2 });
  });

  test('... nor of a second stretch of the same file', () => {
    const second = { start: 0x402000n, limit: 0x403000n, offset: 0x2000n };
    expect(mergedLocations(second, { textEnd: 0x402000n })).toEqual({ addresses: [address, address], mappings: 2 });
  });

  test('of two runs of one program are one, wherever the loader put it', () => {
    const shift = 0x5555_0000_0000n;
    const mappings = GO_MAPPINGS.map((mapping) => ({
      ...mapping,
      start: mapping.start + shift,
      limit: mapping.limit + shift,
    }));
    const here = parsed({ samples: [{ ...GO_SAMPLE, stack: [`${line} +${address}`] }] });
    const there = parsed({ samples: [{ ...GO_SAMPLE, stack: [`${line} +${address + shift}`] }], mappings });
    const merged = mergeProfiles({ go: [here, there], c: [] });
    expect(merged.location.map((location) => location.address)).toEqual([address]);
    expect(readProfile(merged).samples.map(({ values }) => values)).toEqual([[14, 14294, 14, 14294]]);
  });

  test('of two runs are one on all four sides, however each describes the mapping', () => {
    const shift = 0x5555_0000_0000n;
    const sides = [0n, shift].map((by) => {
      const mappings = GO_MAPPINGS.map((one) => ({ ...one, start: one.start + by, limit: one.limit + by }));
      const go = parsed({ samples: [{ ...GO_SAMPLE, stack: [`${line} +${address + by}`] }], mappings });
      const module = { ...MAIN, textStart: MAIN.textStart + 0x1c0n + by, textEnd: MAIN.textEnd - 7n + by };
      const modules = [{ ...module, textOffset: MAIN.textOffset + 0x1c0n, bias: by }];
      const { segment } = symbolizedSegment({ modules, buckets: [{ ...C_BUCKET, stack: ['f'] }] });
      const pc = address + 1n + by;
      const buckets = segment.buckets.map((one) => ({ ...one, frames: BigUint64Array.of(pc) }));
      const lines = [{ name: 'main.main', systemName: 'main.main', file: 'main.go', line: 5, startLine: 0 }];
      const locations = new Map([[MAIN.id, new Map([[pc, { lines, isGo: true }]])]]);
      return { go, c: cProfile({ segment: { ...segment, buckets }, locations }, { showPlumbing: false }) };
    });
    const merged = mergeProfiles({ go: sides.map(({ go }) => go), c: sides.map(({ c }) => c) });
    expect(merged.location.map((location) => location.address)).toEqual([address]);
    expect(merged.mapping).toHaveLength(1);
  });

  test('without a function get a name that keeps them apart', () => {
    const libc = GO_MAPPINGS[1]?.start ?? 0n;
    const go = parsed({ samples: [{ ...GO_SAMPLE, stack: [` +${libc + 0x123n}`, ' +3735928559'] }] });
    const { samples } = readProfile(mergeProfiles({ go: [go], c: [] }));
    expect(samples[0]?.stack).toEqual(['[libc.so.6+0x26123]', '[0xdeadbeef]']);
  });

  test('a stack may go through one location twice', () => {
    const go = parsed({ samples: [{ ...GO_SAMPLE, stack: [line, line, 'main.top@main.go:1'] }] });
    const { samples } = readProfile(mergeProfiles({ go: [go], c: [] }));
    expect(samples[0]?.stack).toEqual([line, line, 'main.top@main.go:1']);
  });
});

describe('samples', () => {
  const stack = GO_SAMPLE.stack;

  test('with the same stack and labels add up, exactly beyond 2^53', () => {
    const huge = { stack, values: [1, 2n ** 53n + 1n, 1, 2n ** 62n], labels: { bytes: 3 } };
    const go = parsed({ samples: [huge] });
    const { samples } = readProfile(mergeProfiles({ go: [go, parsed({ samples: [huge] })], c: [] }));
    expect(samples.map(({ values }) => values)).toEqual([[2, 2n ** 54n + 2n, 2, -(2n ** 63n)]]);
  });

  test('with other labels stay apart', () => {
    const sample = (labels: Record<string, string | number>) => ({ stack, values: [1, 2, 3, 4], labels });
    const go = parsed({ samples: [sample({ bytes: 3 }), sample({ bytes: 5 }), sample({ bytes: 3, tenant: 'a' })] });
    const other = parsed({ samples: [sample({ tenant: 'a', bytes: 3 })] });
    const { samples } = readProfile(mergeProfiles({ go: [go, other], c: [] }));
    expect(samples.map(({ values, labels }) => [values[0], labels])).toEqual([
      [1, { allocator: 'go', bytes: 3 }],
      [1, { allocator: 'go', bytes: 5 }],
      [2, { allocator: 'go', bytes: 3, tenant: 'a' }],
    ]);
  });

  test('that are zero, or cancel out, are gone', () => {
    const go = parsed({ samples: [{ stack, values: [0, 0, 0, 0] }, GO_SAMPLE] });
    const minus = parsed({ samples: [{ ...GO_SAMPLE, values: [-7, -7147, -7, -7147] }] });
    expect(readProfile(mergeProfiles({ go: [go], c: [] })).samples).toHaveLength(1);
    expect(readProfile(mergeProfiles({ go: [go, minus], c: [] })).samples).toEqual([]);
  });

  test('keep negative values, as deltas have', () => {
    const delta = { ...GO_SAMPLE, values: [5, 5105, -2, -2042] };
    const { samples } = readProfile(mergeProfiles({ go: [parsed({ samples: [delta] })], c: [] }));
    expect(samples[0]?.values).toEqual([5, 5105, -2, -2042]);
  });
});

describe('headers', () => {
  test('period is the larger, and a comment tells both', () => {
    const go = parsed({ samples: [GO_SAMPLE], period: 524288 });
    const c = fromSegment({ rate: 4096, buckets: [] });
    const { period, comments } = readProfile(mergeProfiles({ go: [go], c: [c] }));
    expect(period).toBe(524288);
    expect(comments).toContain('cgoprof: mean bytes between samples differ: Go 524288, C 4096');
  });

  test('time is the earliest that is known, durations add up, the first page of documentation is kept', () => {
    const profiles = [
      parsed({ samples: [], timeNanos: 1_700_000_000_000_000_009n, durationNanos: 5 }),
      parsed({ samples: [], timeNanos: 1_700_000_000_000_000_001n, durationNanos: 8, docUrl: 'https://a.example' }),
      parsed({ samples: [], docUrl: 'https://b.example', defaultSampleType: 'alloc_space' }),
    ];
    const merged = mergeProfiles({ go: profiles, c: [] });
    expect(merged.timeNanos).toBe(1_700_000_000_000_000_001n);
    expect(merged.durationNanos).toBe(13);
    expect(merged.stringTable.strings[Number(merged.docUrl)]).toBe('https://a.example');
    expect(merged.defaultSampleType).toBe(0);
  });

  test('comments are kept once', () => {
    const profiles = [parsed({ samples: [], comments: ['a', 'b'] }), parsed({ samples: [], comments: ['b'] })];
    const { comments } = readProfile(mergeProfiles({ go: profiles, c: [], comments: ['a', 'c'] }));
    expect(comments).toEqual(['a', 'b', 'c']);
  });

  test('the main binary is the Go side’s, used or not', () => {
    const c = fromSegment({ buckets: [{ ...C_BUCKET, stack: ['lib:leak'] }] });
    const { mappings } = readProfile(mergeProfiles({ go: [parsed({ samples: [] })], c: [c] }));
    expect(mappings).toEqual(['/srv/app', '/usr/lib/libleak.so.1']);
  });
});

describe('refused', () => {
  test('nothing to merge', () => {
    expect(() => mergeProfiles({ go: [], c: [] })).toThrow('merge: no profile to merge');
  });

  test('other sample types', () => {
    const cpu = goProfile({ samples: [], sampleTypes: ['samples/count', 'cpu/nanoseconds'] });
    expect(() => mergeProfiles({ go: [cpu], c: [] })).toThrow(
      'merge: not a heap profile: its sample types are samples/count, cpu/nanoseconds, not alloc_objects/count, ',
    );
  });

  test('references to what is missing', () => {
    const noLocation = goProfile({ samples: [GO_SAMPLE] });
    noLocation.location = [];
    expect(() => mergeProfiles({ go: [noLocation], c: [] })).toThrow(
      'merge: a sample refers to location 1, which is missing',
    );
    const noFunction = goProfile({ samples: [GO_SAMPLE] });
    noFunction.function = [];
    expect(() => mergeProfiles({ go: [noFunction], c: [] })).toThrow(
      'merge: a location refers to function 1, which is missing',
    );
  });
});
