// Promise: however another allocator's library was linked, however odd its file, its malloc serves the program and its
// operators new and delete are counted.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { native } from '../../src/native-binding.js';
import { ALLOCATOR } from '../support/allocator-source.js';
import { Workshop } from '../support/cgoprof.js';

/** Keeps blocks by way of a thousand pointers that the loader fills in, and releases others by name. */
const POINTERS = `
#include <stddef.h>
extern void *_Znwm(size_t), _ZdlPv(void *);
static void *(*const volatile make[1009])(size_t) = {[0 ... 1008] = _Znwm};
static void (*const volatile release[1009])(void *) = {[0 ... 1008] = _ZdlPv};
int main(void) {
  for (int i = 0; i < 101; i++) {
    void *volatile kept = make[i * 9](1013);
    void *volatile block = make[1008 - i * 9](2003);
    release[i * 8](block);
  }
  return 0;
}
`;

const PROGRAM = `
#include <stddef.h>
extern void *_Znwm(size_t), _ZdlPv(void *);
int main(void) {
  for (int i = 0; i < 101; i++) {
    void *volatile kept = _Znwm(1013);
    void *volatile block = _Znwm(2003);
    _ZdlPv(block);
  }
  return 0;
}
`;

let shop: Workshop;
let plainProgram: string;
beforeAll(() => {
  shop = new Workshop();
  const library = shop.compile('plain.so', ALLOCATOR, ['-shared', '-fPIC']);
  plainProgram = shop.compile('program', PROGRAM, ['-Wl,--no-as-needed', library]);
});
afterAll(() => shop.remove());
beforeEach(() => shop.removeSegments());

/** Has functions that are called as some of tcmalloc's and mimalloc's are, for something else. */
const NAMESAKES = `
#include <string.h>
struct test_case { const char *name; double weight; };
void *tc_new(struct test_case *from) { return from->name ? from : 0; }
int tc_delete(const char *a, const char *b, const char *c, const char *d, const char *e, double weight, int last) {
  return strcmp(a, "a") + strcmp(b, "b") + strcmp(c, "c") + strcmp(d, "d") + strcmp(e, "e") + (weight != 0.5) + last;
}
void *mi_realloc(struct test_case *from, int *to) { return *to ? from : 0; }
`;

const CALLER = `
struct test_case { const char *name; double weight; };
extern void *tc_new(struct test_case *), *mi_realloc(struct test_case *, int *);
extern int tc_delete(const char *, const char *, const char *, const char *, const char *, double, int);
static int use_namesakes(void) {
  struct test_case one = {"one", 0.5};
  int to = 1;
  return tc_new(&one) != &one || mi_realloc(&one, &to) != &one || tc_delete("a", "b", "c", "d", "e", 0.5, 0);
}
`;

/** Stands in front of the allocator for those who call malloc, and has no operators. */
const FRONT = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
void *malloc(size_t n) {
  static void *(*next)(size_t);
  if (!next) next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  return next(n);
}
`;

/** Runs the program with the library between it and its allocator, and compares what it did with what was seen. */
async function expectCounted(allocator: string, program = plainProgram): Promise<void> {
  const env = { CGOPROF_PROFILE: 'all', CGOPROF_RATE: '1', CGOPROF_KEEP: '1' };
  const run = (libraries: string) => shop.launch([program], { env: { ...env, LD_PRELOAD: libraries } }).finished;
  expect(await run(allocator)).toMatchObject({ code: 0 });
  expect(await run(`${shop.library}:${allocator}`)).toMatchObject({ code: 0, signal: null, stderr: '' });
  const { header, buckets } = native.readSegment(join(shop.segments, shop.segmentNames()[0] ?? ''));
  const counts = (size: number) =>
    buckets
      .filter(({ allocs, allocBytes }) => allocs > 0 && allocBytes === allocs * size)
      .map(({ allocs, frees }) => [allocs, frees]);
  expect([counts(1013), counts(2003), header.counters.missedFrees]).toEqual([[[101, 0]], [[101, 101]], 0]);
}

it.each([
  ['with the old hash table alone', ['-Wl,--hash-style=sysv']],
  ['with the new hash table alone', ['-Wl,--hash-style=gnu']],
  ['with its symbols beside its code', ['-Wl,-z,noseparate-code']],
  ['for a place of its own', ['-Wl,-Ttext-segment=0x3000000000']],
  ['for a place above all there are', ['-Wl,-Ttext-segment=0x800000000000']],
])('linked %s', async (name, flags) => {
  await expectCounted(shop.compile(`${name.replace(/\W+/g, '-')}.so`, ALLOCATOR, ['-shared', '-fPIC', ...flags]));
});

it('written in assembly, where nobody says how long a function is', async () => {
  const malloc = '.globl malloc\n.type malloc, @function\nmalloc: jmp __libc_malloc@PLT';
  const source = `${ALLOCATOR.replace(/^void \*malloc.*$/m, '')}\n__asm__(${JSON.stringify(malloc)});\n`;
  await expectCounted(shop.compile('assembly.so', source, ['-shared', '-fPIC']));
});

it('choosing its operators by resolver', async () => {
  const chosen = (name: string) => `
    __typeof__(${name}) chosen${name};
    static __typeof__(${name})* resolve${name}(void) { return chosen${name}; }
    __attribute__((ifunc("resolve${name}"))) __typeof__(${name}) ${name};`;
  const source = ALLOCATOR.replace(/\b(_Z\w+)/g, 'chosen$1');
  const declared = 'extern void *_Znwm(size_t), _ZdlPv(void *);';
  const all = `${source}${declared}${chosen('_Znwm')}${chosen('_ZdlPv')}\n`;
  await expectCounted(shop.compile('resolver.so', all, ['-shared', '-fPIC']));
});

it('behind a library that only passes malloc on', async () => {
  const front = shop.compile('front.so', FRONT, ['-shared', '-fPIC']);
  await expectCounted(`${front}:${shop.compile('behind.so', ALLOCATOR, ['-shared', '-fPIC'])}`);
});

it('with functions of its own that are called as another allocator’s', async () => {
  const library = shop.compile('namesakes.so', `${ALLOCATOR}${NAMESAKES}`, ['-shared', '-fPIC']);
  const source = `${CALLER}${PROGRAM.replace('return 0', 'return use_namesakes()')}`;
  await expectCounted(library, shop.compile('caller', source, ['-Wl,--no-as-needed', library]));
});

it('bound to by thousands of pointers', async () => {
  const library = shop.compile('bound.so', ALLOCATOR, ['-shared', '-fPIC']);
  await expectCounted(library, shop.compile('pointers', POINTERS, ['-Wl,--no-as-needed', library]));
});

it('without a table of its sections', async () => {
  const image = readFileSync(shop.compile('sections.so', ALLOCATOR, ['-shared', '-fPIC']));
  const [OFFSET, COUNT] = [0x28, 0x3c]; // e_shoff, e_shnum
  image.writeBigUInt64LE(0n, OFFSET);
  image.writeUInt16LE(0, COUNT);
  await expectCounted(shop.write('without-sections.so', image, 0o755));
});
