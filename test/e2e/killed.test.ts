// Promise: a program may be killed at any moment. What was known of it until then can still be read, and is true but for
// the one block that each of its threads was about to book.
//
// `npm run stress` sets CGOPROF_KILLS, to kill more often. The moments are drawn anew each time; CGOPROF_SEED, from the
// message of a failure, draws the same ones again.
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { native, type Segment, type SegmentBucket } from '../../src/native-binding.js';
import { Workshop } from '../support/cgoprof.js';
import { generator } from '../support/random.js';

const KILLS = Number(process.env.CGOPROF_KILLS ?? 50);
const SEED = Number(process.env.CGOPROF_SEED ?? randomInt(2 ** 32));
const LONGEST_MS = 30;
const START_MS = 10; // it takes a few
const TIMEOUT_MS = 120_000 + KILLS * 1_000;
const THREADS = 4;
const MOST_AT_ONCE = THREADS + 1; // and the one that starts them

/**
 * Every thread puts new blocks into slots that all share, and frees what it finds there. Each path through descend is a
 * stack of its own, so that buckets are made all the time; one block in 17 stays for good, so that the segment grows.
 */
const ALLOCATOR = `
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void* slots[1021];
static const size_t sizes[] = {13, 101, 503, 4099};

static __attribute__((noinline)) void* allocate(uint64_t random) {
  const size_t size = sizes[random & 3];
  switch (random >> 2 & 3) {
    case 0: return calloc(1, size);
    case 1: return realloc(malloc(size), sizes[random >> 4 & 3]);
    default: return malloc(size);
  }
}

static __attribute__((noinline)) void* descend(unsigned path, uint64_t random) {
  if (path == 1) return allocate(random);
  void* block;
  if (path & 1) {
    block = descend(path >> 1, random);
    __asm__ volatile("# odd" : "+r"(block));
  } else {
    block = descend(path >> 1, random);
    __asm__ volatile("# even" : "+r"(block));
  }
  return block;
}

static void* churn(void* seed) {
  uint64_t state = (uintptr_t)seed;
  while (1) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t random = state >> 16;
    void* block = descend(1u << 12 | (random >> 6 & 0xfff), random);
    if (block == NULL) abort();
    if ((random >> 18) % 17 == 0) continue;
    free(__atomic_exchange_n(&slots[(random >> 18) % 1021], block, __ATOMIC_ACQ_REL));
  }
}

int main(void) {
  pthread_t threads[${THREADS}];
  for (uintptr_t i = 0; i < ${THREADS}; i++) pthread_create(&threads[i], NULL, churn, (void*)(i + 1));
  puts("ready");
  fflush(stdout);
  pthread_join(threads[0], NULL);
}
`;

let shop: Workshop;
let allocator: string;
beforeAll(() => {
  shop = new Workshop();
  allocator = shop.compile('allocator', ALLOCATOR, ['-pthread']);
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

const environment = (): Record<string, string> => ({
  LD_PRELOAD: shop.library,
  CGOPROF_PROFILE: 'all',
  CGOPROF_RATE: '1',
});

/** The one segment that is there. */
function readSegment(): Segment {
  const [name = '', ...others] = shop.segmentNames();
  expect(others).toEqual([]);
  return native.readSegment(join(shop.segments, name));
}

const sum = (buckets: readonly SegmentBucket[], value: (bucket: SegmentBucket) => number): number =>
  buckets.reduce((total, bucket) => total + value(bucket), 0);

/** No more than a thread can have been in the middle of, for all of them. */
function expectTrue({ header, buckets }: Segment): void {
  const { truncatedStacks, ...losses } = header.counters;
  expect(losses).toEqual(Object.fromEntries(Object.keys(losses).map((name) => [name, 0])));
  expect(truncatedStacks).toBe(0);
  const live = sum(buckets, ({ allocs, frees }) => allocs - frees);
  expect(Math.abs(live - header.liveSamples)).toBeLessThanOrEqual(MOST_AT_ONCE);
  expect(buckets.filter(({ torn }) => torn)).toEqual([]);
  expect(buckets.filter(({ allocs, frees }) => frees > allocs)).toEqual([]);
  expect(buckets.filter(({ allocBytes, freeBytes }) => freeBytes > allocBytes)).toEqual([]);
  const hasOneSize = ({ allocs, frees, allocBytes, freeBytes }: SegmentBucket) =>
    allocBytes * frees === freeBytes * allocs;
  expect(buckets.filter((bucket) => !bucket.torn && !hasOneSize(bucket))).toEqual([]);
}

/** As {@link expectTrue}; or the program did not come to the first bytes of its segment, or not to the last of its header. */
function expectTrueOrUnready(): void {
  let segment: Segment;
  try {
    segment = readSegment();
  } catch (error) {
    expect(['NOT_A_SEGMENT', 'SEGMENT_STARTING']).toContain((error as NodeJS.ErrnoException).code);
    return;
  }
  expectTrue(segment);
}

/** Starts the program, waits for what `moment` says, and kills it. */
async function killAt(moment: (child: ChildProcess) => Promise<unknown>): Promise<void> {
  const { process: child, finished, destroy } = shop.launch([allocator], { env: environment() });
  try {
    await moment(child);
  } finally {
    destroy();
  }
  expect(await finished).toMatchObject({ signal: 'SIGKILL' });
}

/** Has the program killed as often as it is to be, and everything looked at each time. */
async function killOften(longestMs: number, killAndLook: (afterMs: number) => Promise<void>): Promise<void> {
  const random = generator(SEED);
  for (let kill = 0; kill < KILLS; kill++) {
    const afterMs = random() * longestMs;
    try {
      await killAndLook(afterMs);
    } catch (cause) {
      throw new Error(`kill ${kill}, after ${afterMs} ms; CGOPROF_SEED=${SEED} draws the same moments`, { cause });
    }
    shop.removeSegments();
  }
}

it(
  `a program that was killed at any of ${KILLS} moments leaves a segment that is right`,
  () =>
    killOften(LONGEST_MS, async (afterMs) => {
      await killAt(async ({ stdout }) => {
        await once(stdout as Readable, 'data'); // its threads have been started
        await sleep(afterMs);
      });
      expectTrue(readSegment());
    }),
  TIMEOUT_MS,
);

it(
  `... and at ${KILLS} moments while it starts, one that is right or not ready, or none`,
  () =>
    killOften(START_MS, async (afterMs) => {
      await killAt(() => sleep(afterMs));
      if (shop.segmentNames().length > 0) expectTrueOrUnready();
    }),
  TIMEOUT_MS,
);
