// Promise: where calls of another allocator's operator new have to be led to us, that works however the program was
// linked, and leaves no page of it with other rights than before, and no name defined that was not.
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { native, type SegmentBucket } from '../../src/native-binding.js';
import { ALLOCATOR } from '../support/allocator-source.js';
import { Workshop } from '../support/cgoprof.js';

/** Calls operator new and delete, new also through a pointer that the loader fills in; says what its pages look like. */
const PROGRAM = `#include <new>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern "C" void tc_free(void *) __attribute__((weak));
extern "C" void mi_free(void *) __attribute__((weak));
static void *(*const volatile pointer)(size_t) = &operator new;
static void *volatile kept[101];
int main() {
  for (int i = 0; i < 101; i++) kept[i] = operator new(1013);
  for (int i = 0; i < 11; i++) operator delete(kept[i]);
  for (int i = 0; i < 53; i++) kept[i] = pointer(1019);
  char line[4096], rights[8], offset[32];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps)) {
    if (!strstr(line, "/linked-") && !strstr(line, "/allocator.so")) continue;
    sscanf(line, "%*s %7s %31s", rights, offset);
    printf("%s %s %s", rights, offset, strrchr(line, '/'));
  }
  printf("%d %d\\n", tc_free != NULL, mi_free != NULL);
  return 0;
}
`;

const PROGRAMS = ['-Wl,-z,lazy', '-Wl,-z,now'].flatMap((binding) =>
  ['-Wl,-z,norelro', '-Wl,-z,relro'].flatMap((protection) =>
    [[], ['-fno-plt']].flatMap((calls) =>
      [
        ['-fPIE', '-pie'],
        ['-fno-pie', '-no-pie'],
      ].map((place) => [binding, protection, ...calls, ...place]),
    ),
  ),
);

let shop: Workshop;
let allocator: string;
beforeAll(() => {
  shop = new Workshop();
  allocator = shop.compile('allocator.so', ALLOCATOR, ['-shared', '-fPIC']);
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

/** Blocks of a size: allocated, freed. */
function blocksOf(buckets: readonly SegmentBucket[], size: number): [number, number] {
  const own = buckets.filter(({ allocs, allocBytes }) => allocs > 0 && allocBytes === allocs * size);
  return [own.reduce((sum, { allocs }) => sum + allocs, 0), own.reduce((sum, { frees }) => sum + frees, 0)];
}

it.each(PROGRAMS.map((flags) => [flags.join(' '), flags] as const))('%s', async (name, flags) => {
  const link = ['-x', 'c++', ...flags, '-Wl,--no-as-needed', '-lstdc++'];
  const program = shop.compile(`linked-${name.replace(/\W+/g, '-')}`, PROGRAM, link);
  const settings = { CGOPROF_PROFILE: 'all', CGOPROF_RATE: '1', CGOPROF_KEEP: '1' };
  const run = (libraries: string) => shop.launch([program], { env: { ...settings, LD_PRELOAD: libraries } }).finished;
  const bare = await run(allocator);
  expect(bare).toMatchObject({ code: 0, stdout: expect.stringMatching(/^r[\s\S]*\n0 0\n$/) });
  expect(await run(`${shop.library}:${allocator}`)).toEqual(bare);
  const { header, buckets } = native.readSegment(join(shop.segments, shop.segmentNames()[0] ?? ''));
  expect([blocksOf(buckets, 1013), blocksOf(buckets, 1019)]).toEqual([
    [101, 11],
    [53, 0],
  ]);
  expect(header.counters.missedFrees).toBe(0);
});
