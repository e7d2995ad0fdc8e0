/**
 * What Prometheus is told of targets: by what name, with which words, in its text format.
 *
 * What C's allocator holds but does not use is left out, because it cannot be known: to ask the allocator would hold up
 * the target. Anonymous resident memory less what Go holds less what C has in use comes near, but what Go holds only the
 * service could tell, for which a scrape does not ask. docs/serve.md has the query for where Prometheus has that too.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { ProcessMemory } from '../collect/process-memory.js';
import { bytesBeforeAttach } from '../merge/c-profile.js';
import type { Int64 } from '../merge/int64.js';
import type { CSiteCounts } from '../merge/site-counts.js';
import type { SegmentCounters, SegmentHeader } from '../native-binding.js';
import { isRecording } from '../recording.js';

/** What a scrape finds of one target that is up. */
export interface Reading {
  readonly header: SegmentHeader;
  readonly counts: CSiteCounts;
  /** Undefined where /proc does not tell. */
  readonly memory: ProcessMemory | undefined;
}

/** One number of a target; undefined where there is none. */
interface Family {
  readonly type: typeof Counter | typeof Gauge;
  readonly name: string;
  readonly help: string;
  readonly value: (reading: Reading) => Int64 | undefined;
}

/** To the microsecond, which is as far as a number goes. */
function unixSeconds(unixNs: bigint): number {
  return Number(unixNs / 1_000n) / 1e6;
}

/** In the order of the page. Blocks and bytes of C are scaled, sites, buckets and samples are as they were counted. */
const FAMILIES: readonly Family[] = [
  {
    type: Gauge,
    name: 'cgoprof_c_in_use_bytes',
    help: 'Bytes of C memory in use, estimated from samples; without what was in use before an attach.',
    value: ({ counts }) => counts.inUse.bytes,
  },
  {
    type: Gauge,
    name: 'cgoprof_c_in_use_objects',
    help: 'Blocks of C memory in use, estimated from samples; without what was in use before an attach.',
    value: ({ counts }) => counts.inUse.objects,
  },
  {
    type: Counter,
    name: 'cgoprof_c_allocated_bytes_total',
    help: 'Bytes of C memory allocated while it was recorded, estimated from samples.',
    value: ({ counts }) => counts.allocated.bytes,
  },
  {
    type: Counter,
    name: 'cgoprof_c_allocated_objects_total',
    help: 'Blocks of C memory allocated while it was recorded, estimated from samples.',
    value: ({ counts }) => counts.allocated.objects,
  },
  {
    type: Counter,
    name: 'cgoprof_c_freed_bytes_total',
    help: 'Bytes of C memory freed of those that were recorded, estimated from samples.',
    value: ({ counts }) => counts.freed.bytes,
  },
  {
    type: Counter,
    name: 'cgoprof_c_freed_objects_total',
    help: 'Blocks of C memory freed of those that were recorded, estimated from samples.',
    value: ({ counts }) => counts.freed.objects,
  },
  {
    type: Gauge,
    name: 'cgoprof_c_sites_in_use',
    help: 'C call stacks that hold memory now, by what was sampled.',
    value: ({ counts }) => counts.sitesInUse,
  },
  {
    type: Counter,
    name: 'cgoprof_c_sites_total',
    help: 'C call stacks that ever allocated, by what was sampled. Those that hold nothing any more stay counted: growth is no leak.',
    value: ({ counts }) => counts.sites,
  },
  {
    type: Gauge,
    name: 'cgoprof_c_buckets',
    help: 'Entries of the bucket table, one per C call stack and size class. None is ever removed.',
    value: ({ counts }) => counts.buckets,
  },
  {
    type: Counter,
    name: 'cgoprof_samples_total',
    help: 'C allocations recorded.',
    value: ({ header }) => header.samples,
  },
  {
    type: Counter,
    name: 'cgoprof_truncated_stacks_total',
    help: 'Samples whose stack ends early: it was too deep, or could not be unwound.',
    value: ({ header }) => header.counters.truncatedStacks,
  },
  {
    type: Counter,
    name: 'cgoprof_unreachable_goroutines_total',
    help: 'Samples whose stack ends where Go called C: the Go callers could not be reached.',
    value: ({ header }) => header.counters.goBoundaryFailed,
  },
  {
    type: Counter,
    name: 'cgoprof_missed_frees_total',
    help: 'Blocks whose free was not seen: their address was handed out again.',
    value: ({ header }) => header.counters.missedFrees,
  },
  {
    type: Counter,
    name: 'cgoprof_unknown_frees_total',
    help: 'Frees of blocks whose allocation was not seen, as from before an attach; only counted where every allocation is recorded.',
    value: ({ header }) => header.counters.unknownFrees,
  },
  {
    type: Counter,
    name: 'cgoprof_lost_modules_total',
    help: 'Executables and libraries that found no room in the segment: their frames are bare addresses.',
    value: ({ header }) => header.counters.lostModules,
  },
  {
    type: Counter,
    name: 'cgoprof_pruned_segments_total',
    help: 'Segments of dead processes that were removed to make room for this one.',
    value: ({ header }) => header.counters.prunedSegments,
  },
  {
    type: Gauge,
    name: 'cgoprof_live_samples',
    help: 'C allocations recorded and not freed yet.',
    value: ({ header }) => header.liveSamples,
  },
  {
    type: Gauge,
    name: 'cgoprof_sample_rate_bytes',
    help: 'Mean bytes between samples; 1 where every allocation is recorded, and nothing is an estimate.',
    value: ({ header }) => header.sampleRate,
  },
  {
    type: Gauge,
    name: 'cgoprof_recording',
    help: '1 while allocations are recorded, 0 while that is switched off.',
    value: ({ header }) => Number(isRecording(header)),
  },
  {
    type: Gauge,
    name: 'cgoprof_recording_start_timestamp_seconds',
    help: 'When the segment was made, in seconds since 1970: with the process, or by the first attach. The numbers of C begin there.',
    value: ({ header }) => unixSeconds(header.createdUnixNs),
  },
  {
    type: Gauge,
    name: 'cgoprof_attach_timestamp_seconds',
    help: 'When the library was last attached, in seconds since 1970; absent where it was preloaded.',
    value: ({ header }) => (header.attachments > 0 ? unixSeconds(header.attachedUnixNs) : undefined),
  },
  {
    type: Gauge,
    name: 'cgoprof_before_attach_bytes',
    help: 'Bytes of C memory in use right before the last attach, by the allocator’s own account. What of it was freed since is not known.',
    value: ({ header }) => bytesBeforeAttach(header) ?? undefined,
  },
  {
    type: Gauge,
    name: 'cgoprof_segment_bytes',
    help: 'Shared memory that the segment occupies.',
    value: ({ header }) => header.committedBytes,
  },
  {
    type: Gauge,
    name: 'cgoprof_target_resident_memory_bytes',
    help: 'Resident memory of the target: anonymous, file and shared.',
    value: ({ memory }) => memory?.resident,
  },
  {
    type: Gauge,
    name: 'cgoprof_target_resident_anonymous_bytes',
    help: 'Resident memory of the target that belongs to no file: C’s and Go’s heaps, in use or held for later, and stacks.',
    value: ({ memory }) => memory?.anonymous,
  },
  {
    type: Gauge,
    name: 'cgoprof_target_resident_file_bytes',
    help: 'Resident memory of the target that belongs to files, such as its code.',
    value: ({ memory }) => memory?.file,
  },
  {
    type: Gauge,
    name: 'cgoprof_target_resident_shared_bytes',
    help: 'Resident shared memory of the target, which its segment is part of.',
    value: ({ memory }) => memory?.shared,
  },
];

/** Numbers of samples that lost something, by what was full. */
const LOST_SAMPLES: {
  readonly name: string;
  readonly help: string;
  readonly reasons: Readonly<Record<string, keyof SegmentCounters>>;
} = {
  name: 'cgoprof_lost_samples_total',
  help: 'Samples that were not recorded in full: bucket_table_full, counted without their stack; live_set_full, counted as allocated but never as in use.',
  reasons: { bucket_table_full: 'droppedBuckets', live_set_full: 'droppedLive' },
};

const BUILD_INFO = {
  name: 'cgoprof_build_info',
  help: 'Always 1. The version of cgoprof is a label.',
};

const UP = {
  name: 'cgoprof_target_up',
  help: '1 while the target lives and its segment can be read; at 0 there are no other numbers of it.',
};

/** A number that came from a target: counters refuse anything below nothing. */
function sane(value: Int64): number {
  return Math.max(0, Number(value));
}

/**
 * As Prometheus reads it.
 *
 * @param readings Of every target by its name; undefined: not up.
 * @param version Of cgoprof.
 */
export async function exposition(readings: ReadonlyMap<string, Reading | undefined>, version: string): Promise<string> {
  const register = new Registry();
  new Gauge({ ...BUILD_INFO, registers: [register], labelNames: ['version'] }).set({ version }, 1);
  const options = { registers: [register], labelNames: ['target'] };
  const up = new Gauge({ ...UP, ...options });
  for (const [target, reading] of readings) up.set({ target }, Number(reading !== undefined));
  const there = [...readings].flatMap(([target, reading]) => (reading === undefined ? [] : [{ target, reading }]));
  for (const { type, name, help, value } of FAMILIES) {
    const family = new type({ name, help, ...options });
    for (const { target, reading } of there) {
      const amount = value(reading);
      if (amount !== undefined) family.inc({ target }, sane(amount));
    }
  }
  const { reasons, ...lostSamples } = LOST_SAMPLES;
  const lost = new Counter({ ...lostSamples, ...options, labelNames: ['target', 'reason'] });
  for (const { target, reading } of there) {
    for (const [reason, counter] of Object.entries(reasons)) {
      lost.inc({ target, reason }, sane(reading.header.counters[counter]));
    }
  }
  return register.metrics();
}
