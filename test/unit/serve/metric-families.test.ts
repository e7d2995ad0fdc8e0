import { describe, expect, it } from 'vitest';
import { exposition, type Reading } from '../../../src/serve/metric-families.js';
import { segmentHeader } from '../../support/segment-fixture.js';

const READING: Reading = {
  header: segmentHeader({
    sampleRate: 524_288,
    samples: 31,
    liveSamples: 7,
    committedBytes: 8192,
    createdUnixNs: 1_700_000_000_250_000_000n,
  }),
  counts: {
    sites: 5,
    sitesInUse: 3,
    buckets: 11,
    allocated: { objects: 101, bytes: 2n ** 60n },
    freed: { objects: 2, bytes: 17 },
    inUse: { objects: 99, bytes: 1009 },
  },
  memory: { resident: 600, anonymous: 300, file: 200, shared: 100 },
};

const expose = (readings: Record<string, Reading | undefined>) =>
  exposition(new Map(Object.entries(readings)), '1.2.3');
/** Samples of one target, by name and further labels. */
const samples = async (reading: Reading) => {
  const lines = (await expose({ api: reading })).matchAll(
    /^cgoprof_(\w+)\{target="api"(?:,reason="(\w+)")?\} (\S+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, name, reason, value]) => [reason ?? name, Number(value)]));
};

it('every number under its name', async () => {
  expect(await samples(READING)).toEqual({
    target_up: 1,
    c_in_use_bytes: 1009,
    c_in_use_objects: 99,
    c_allocated_bytes_total: 2 ** 60,
    c_allocated_objects_total: 101,
    c_freed_bytes_total: 17,
    c_freed_objects_total: 2,
    c_sites_in_use: 3,
    c_sites_total: 5,
    c_buckets: 11,
    samples_total: 31,
    live_samples: 7,
    sample_rate_bytes: 524_288,
    recording: 1,
    segment_bytes: 8192,
    target_resident_memory_bytes: 600,
    target_resident_anonymous_bytes: 300,
    target_resident_file_bytes: 200,
    target_resident_shared_bytes: 100,
    recording_start_timestamp_seconds: 1_700_000_000.25,
    bucket_table_full: 0,
    live_set_full: 0,
    truncated_stacks_total: 0,
    unreachable_goroutines_total: 0,
    missed_frees_total: 0,
    unknown_frees_total: 0,
    lost_modules_total: 0,
    pruned_segments_total: 0,
  });
});

it('losses, each in its own unit', async () => {
  const counters = {
    droppedBuckets: 2,
    droppedLive: 3,
    truncatedStacks: 5,
    goBoundaryFailed: 7,
    missedFrees: 11,
    unknownFrees: 13,
    lostModules: 17,
    prunedSegments: 19,
  };
  expect(await samples({ ...READING, header: segmentHeader({ counters }) })).toMatchObject({
    bucket_table_full: 2,
    live_set_full: 3,
    truncated_stacks_total: 5,
    unreachable_goroutines_total: 7,
    missed_frees_total: 11,
    unknown_frees_total: 13,
    lost_modules_total: 17,
    pruned_segments_total: 19,
  });
});

describe('what there is not is absent', () => {
  it('of a target that is not up all but that', async () => {
    const text = await expose({ gone: undefined, api: READING });
    expect(text.match(/^.*target="gone".*$/gm)).toEqual(['cgoprof_target_up{target="gone"} 0']);
    expect(text).toContain('cgoprof_target_up{target="api"} 1');
  });

  it('memory that /proc does not tell', async () => {
    expect(Object.keys(await samples({ ...READING, memory: undefined })).join()).not.toContain('resident');
  });

  it('an attach, and what the allocator did not tell then', async () => {
    const attached = { attachments: 1, attachedUnixNs: 1_700_000_000_500_000_000n };
    const told = segmentHeader({ ...attached, beforeAttachBytes: 4096 });
    expect(await samples({ ...READING, header: told })).toMatchObject({
      attach_timestamp_seconds: 1_700_000_000.5,
      before_attach_bytes: 4096,
    });
    expect(await samples({ ...READING, header: segmentHeader(attached) })).not.toHaveProperty('before_attach_bytes');
  });
});

it('the version of cgoprof is a label', async () => {
  expect(await expose({})).toContain('cgoprof_build_info{version="1.2.3"} 1');
});

it('recording is switched off', async () => {
  expect(await samples({ ...READING, header: segmentHeader({ wish: 'pause' }) })).toMatchObject({ recording: 0 });
});

it('nonsense from one target, such as a sum that went over, leaves the page whole', async () => {
  const inUse = { objects: -1, bytes: -(2n ** 62n) };
  const text = await expose({
    odd: { ...READING, counts: { ...READING.counts, allocated: inUse, inUse } },
    api: READING,
  });
  expect(text).toContain('cgoprof_c_allocated_bytes_total{target="odd"} 0');
  expect(text).toContain('cgoprof_c_in_use_bytes{target="api"} 1009');
});

it('names of families follow the conventions of Prometheus', async () => {
  const types = [...(await expose({ api: READING })).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  for (const [, name = '', type] of types) {
    expect(name).toMatch(/^cgoprof_[a-z]+(_[a-z]+)*$/);
    expect([name, type]).toEqual([name, name.endsWith('_total') ? 'counter' : 'gauge']);
    expect(name).not.toMatch(/_time_seconds$/); // That is how long something took.
    expect(name).not.toMatch(/_(count|sum|bucket|gauge|counter|kb|ms)$/);
  }
});
