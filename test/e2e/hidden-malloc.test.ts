// Promise: a program that hides a malloc of its own from libraries is refused, not profiled as if it held nothing.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';

const TCMALLOC = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libtcmalloc_minimal.a`;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

const run = (program: string) => shop.run(['run', '--rate', '1', '-o', shop.path('merged.pb.gz'), '--', program]);

async function expectRefused(program: string): Promise<void> {
  const { code, stderr } = await run(program);
  const why = `cgoprof: run: ${program}: defines malloc itself, so no library can see what it allocates\n`;
  expect([code, stderr]).toEqual([1, expect.stringContaining(why)]);
}

it('one with an allocator of its own', () => expectRefused(shop.compile('own', `${ALLOCATOR} ${HOLDS}`)));

it.runIf(existsSync(TCMALLOC))('one with a static tcmalloc that exports nothing', async () => {
  const flags = ['-Wl,--push-state,--whole-archive', TCMALLOC, '-Wl,--pop-state,--exclude-libs,ALL'];
  await expectRefused(shop.compile('tcmalloc', HOLDS, [...flags, '-lstdc++', '-lm', '-lpthread']));
});

it('but not one that passes on to the next malloc', async () => {
  const { code, stderr } = await run(shop.compile('wrapper', `${WRAPPER} ${HOLDS}`));
  expect([code, stderr]).toEqual([0, expect.stringContaining(': 1009 B in use by C')]);
});

it('nor one with functions of those names in one file, which the others do not call', async () => {
  const other = shop.write('other.c', '#include <stdlib.h>\nvoid* make(void) { return malloc(1009); }\n');
  const holds = 'void* make(void); int main(void) { return malloc(1) == 0 || make() == 0 ? 1 : (free(0), 0); }';
  const program = shop.compile('one-file', `${ALLOCATOR} ${holds}`, ['-DHIDDEN=static', other]);
  const { code, stderr } = await run(program);
  expect([code, stderr]).toEqual([0, expect.stringContaining(': 1009 B in use by C')]);
});

it('stripped it cannot be told: its own blocks are missing', async () => {
  const program = shop.compile('stripped', `${ALLOCATOR} ${HOLDS}`);
  execFileSync('strip', [program]);
  const { code, stderr } = await run(program);
  expect([code, stderr]).toEqual([0, expect.stringContaining(': 0 B in use by C')]);
});

/** An allocator as simple as can be: never gives memory back. */
const ALLOCATOR = `
#include <stddef.h>
#ifndef HIDDEN
#define HIDDEN __attribute__((visibility("hidden")))
#endif
static _Alignas(16) char memory[1 << 20];
static size_t used;
HIDDEN __attribute__((noinline)) void* malloc(size_t size) {
  size_t at = __atomic_fetch_add(&used, (size + 15) / 16 * 16, __ATOMIC_RELAXED);
  return size > sizeof(memory) || at + size > sizeof(memory) ? NULL : memory + at;
}
HIDDEN __attribute__((noinline)) void free(void* block) { __asm__ volatile("" : : "r"(block)); }
`;

const WRAPPER = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN void* malloc(size_t size) { return ((void* (*)(size_t))dlsym(RTLD_NEXT, "malloc"))(size); }
HIDDEN void free(void* block) { ((void (*)(void*))dlsym(RTLD_NEXT, "free"))(block); }
`;

/** Holds one block. */
const HOLDS = `
void* malloc(__SIZE_TYPE__);
void free(void*);
int main(void) {
  void* volatile kept = malloc(1009);
  free(malloc(97));
  return kept == 0;
}
`;
