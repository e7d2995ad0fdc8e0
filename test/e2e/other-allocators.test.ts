// Promise: whatever allocator serves the program, linked or preloaded, C and C++ memory is counted once, to the byte; and
// where its malloc cannot be seen, cgoprof says so.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { rawSamples } from '../support/go-pprof.js';
import { buildTargetAside, type TargetBuild } from '../support/profiled-target.js';
import { Service } from '../support/service.js';
import { samplesAt, sitesOf, total, truth } from '../support/sites.js';

const SITES = sitesOf('allocators');
const LIBRARIES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const TCMALLOC: TargetBuild = { variant: 'tcmalloc', flags: ['-tags=tcmalloc'] };
const STATIC_TCMALLOC: TargetBuild = { variant: 'tcmalloc-static', flags: ['-tags=tcmalloc_static'] };

const canLink = existsSync(`${LIBRARIES}/libtcmalloc.so`);
const canLinkStatically = existsSync(`${LIBRARIES}/libtcmalloc_minimal.a`);

/** Libraries come stripped; their functions are not looked for here. */
const NO_DEBUG_INFORMATION = /^cgoprof: warning: .*: it has no debug information\n/gm;

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

/** Runs the target and compares each of its lines with what it did there. Nothing may have been lost on the way. */
async function expectTruth(build: TargetBuild, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const output = shop.path('merged.pb.gz');
  const program = await buildTargetAside('allocators', build);
  const service = await Service.run(shop, ['--rate', '1', '-o', output], [program], { env });
  const rows = await shop.ps();
  expect(rows.find(({ pid }) => pid === service.pid)?.losses).toEqual({});
  const { code, stderr } = await service.end('');
  expect([code, stderr.replace(NO_DEBUG_INFORMATION, '')]).toEqual([0, expect.stringMatching(/^cgoprof: wrote .*\n$/)]);

  const samples = rawSamples(output);
  const seen = SITES.map((site) => ({ site: site.name, values: total(samplesAt(samples, site)) }));
  expect(seen).toEqual(SITES.map((site) => ({ site: site.name, values: truth(site) })));
}

describe('every operator new and delete, and malloc, to the byte', () => {
  it('with libc and libstdc++: nothing twice', () => expectTruth({}));

  it.runIf(canLink)('with tcmalloc, linked by cgo', () => expectTruth(TCMALLOC));

  for (const [allocator, name, needs] of [
    ['tcmalloc', 'libtcmalloc.so.4', {}],
    ['tcmalloc_minimal', 'libtcmalloc_minimal.so.4', {}],
    ['jemalloc', 'libjemalloc.so.2', {}],
    ['mimalloc', 'libmimalloc.so.2', { NEW_ABORTS: '1' }],
  ] as const) {
    const library = `${LIBRARIES}/${name}`;
    it.runIf(existsSync(library)).each([
      ['', {}],
      [', bound when it starts', { LD_BIND_NOW: '1' }],
    ])(`with ${allocator}, preloaded%s`, (_, env) => expectTruth({}, { ...needs, ...env, LD_PRELOAD: library }));
  }
});

describe('a block from malloc that is released under a name of the allocator’s own is free', () => {
  for (const [name, library, parameters, call] of [
    ['tc_free', 'libtcmalloc_minimal.so.4', 'void*', '(block)'],
    ['cfree', 'libtcmalloc_minimal.so.4', 'void*', '(block)'],
    ['tc_delete_sized', 'libtcmalloc_minimal.so.4', 'void*, size_t', '(block, 1009)'],
    ['tc_deletearray_nothrow', 'libtcmalloc_minimal.so.4', 'void*, const void*', '(block, NULL)'],
    ['dallocx', 'libjemalloc.so.2', 'void*, int', '(block, 0)'],
    ['sdallocx', 'libjemalloc.so.2', 'void*, size_t, int', '(block, 1009, 0)'],
    ['mi_free', 'libmimalloc.so.2', 'void*', '(block)'],
  ] as const) {
    it.runIf(existsSync(`${LIBRARIES}/${library}`))(name, async () => {
      const output = shop.path(`${name}.pb.gz`);
      const source = releasing(`void ${name}(${parameters});`, `${name}${call}`);
      const program = shop.compile(name, source, ['-Wl,-z,lazy', '-Wl,--no-as-needed', `-l:${library}`]);
      const { code, stderr } = await shop.run(['run', '--rate', '1', '-o', output, '--', program]);
      const said = stderr.replace(NO_DEBUG_INFORMATION, '');
      expect([code, said]).toEqual([0, expect.stringMatching(/^cgoprof: wrote .*\n$/)]);
      const ours = rawSamples(output).filter(({ stack }) => stack.some(({ mapping }) => mapping === program));
      expect(total(ours)).toEqual([101, 101909, 0, 0]);
    });
  }
});

describe('what a program’s own operator new calls is counted', () => {
  for (const [name, library, parameters, more, release] of [
    ['mi_new', 'libmimalloc.so.2', 'size_t', '', 'mi_free(block)'],
    ['mi_new_nothrow', 'libmimalloc.so.2', 'size_t', '', 'mi_free(block)'],
    ['mi_new_aligned', 'libmimalloc.so.2', 'size_t, size_t', ', 128', 'mi_free_size_aligned(block, 1009, 128)'],
    ['tc_new', 'libtcmalloc_minimal.so.4', 'size_t', '', 'tc_delete(block)'],
    ['tc_new', 'libtcmalloc_minimal_debug.so.4', 'size_t', '', 'tc_delete(block)'],
    ['mallocx', 'libjemalloc.so.2', 'size_t, int', ', 0', 'sdallocx(block, 1009, 0)'],
  ] as const) {
    it.runIf(existsSync(`${LIBRARIES}/${library}`))(`${name}, ${library}`, async () => {
      const output = shop.path(`${name}.pb.gz`);
      const source = making(`void* ${name}(${parameters});`, `${name}(1009${more})`, release);
      const program = shop.compile(name, source, ['-Wl,-z,lazy', '-Wl,--no-as-needed', `-l:${library}`]);
      const { code, stderr } = await shop.run(['run', '--rate', '1', '-o', output, '--', program]);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('free')]);
      const ours = rawSamples(output).filter(({ stack }) => stack.some(({ mapping }) => mapping === program));
      expect(total(ours)).toEqual([101, 101 * 1009, 90, 90 * 1009]);
    });
  }
});

describe('a block from malloc that is moved by a function of the allocator’s own is counted once', () => {
  for (const [name, library, parameters, call] of [
    ['tc_realloc', 'libtcmalloc_minimal.so.4', 'void*, size_t', '(block, SIZE)'],
    ['rallocx', 'libjemalloc.so.2', 'void*, size_t, int', '(block, SIZE, 0)'],
    ['mi_realloc', 'libmimalloc.so.2', 'void*, size_t', '(block, SIZE)'],
    ['reallocarray', 'libmimalloc.so.2', 'void*, size_t, size_t', '(block, SIZE, 1)'],
    ['reallocarray', 'libjemalloc.so.2', 'void*, size_t, size_t', '(block, SIZE, 1)'],
  ] as const) {
    it.runIf(existsSync(`${LIBRARIES}/${library}`))(`${name}, ${library}`, async () => {
      const output = shop.path(`${name}.pb.gz`);
      const source = moving(`void* ${name}(${parameters});`, name + call);
      const program = shop.compile(name, source, ['-Wl,-z,lazy', '-Wl,--no-as-needed', `-l:${library}`]);
      const { code, stderr } = await shop.run(['run', '--rate', '1', '-o', output, '--', program]);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('free')]);
      const ours = rawSamples(output).filter(({ stack }) => stack.some(({ mapping }) => mapping === program));
      expect(total(ours)).toEqual([202, 101 * (1009 + 5003), 90, 90 * 5003]);
    });
  }
});

describe('the program starts with the errno that it has without us', () => {
  for (const name of ['libtcmalloc.so.4', 'libtcmalloc_minimal.so.4', 'libjemalloc.so.2', 'libmimalloc.so.2']) {
    const allocator = `${LIBRARIES}/${name}`;
    it.runIf(existsSync(allocator))(name, async () => {
      const program = shop.compile('errno', '#include <errno.h>\nint main(void) { return errno; }\n');
      const run = (LD_PRELOAD: string) =>
        shop.launch([program], { env: { CGOPROF_PROFILE: 'all', CGOPROF_RATE: '1', LD_PRELOAD } }).finished;
      expect(await run(`${shop.library}:${allocator}`)).toEqual(await run(allocator));
    });
  }
});

describe('while a thread, of a library that came first, loads and unloads others', () => {
  const mimalloc = `${LIBRARIES}/libmimalloc.so.2`;
  // When the thread unloads something is its own affair: some of these runs meet it at a bad moment.
  it.runIf(existsSync(mimalloc)).each([1, 2, 3, 4, 5])('operators are counted all the same (%i)', async () => {
    const output = shop.path('reloading.pb.gz');
    const loaded = shop.compile('relocated.so', RELOCATED, ['-shared', '-fPIC']);
    const reloading = shop.compile('reloading.so', RELOADING, ['-shared', '-fPIC', `-DPATH="${loaded}"`]);
    const program = shop.compile('program', OPERATORS, ['-Wl,--no-as-needed', '-lstdc++']);
    const env = { LD_PRELOAD: `${reloading}:${mimalloc}` };
    const { code } = await shop.run(['run', '--rate', '1', '-o', output, '--', program], { env });
    expect(code).toBe(0);
    const ours = rawSamples(output).filter(({ stack }) => stack.some(({ mapping }) => mapping === program));
    expect(total(ours)).toEqual([202, 202 * 1009, 101, 101 * 1009]);
  });
});

describe('a malloc that cannot be seen', () => {
  const seenByNobody = 'defines malloc itself, so no library can see what it allocates';

  it.runIf(canLinkStatically)('run refuses a program that has its own', async () => {
    const program = await buildTargetAside('allocators', STATIC_TCMALLOC);
    const { code, stderr } = await shop.run(['run', '--', program]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${program}: ${seenByNobody}\n`)]);
    expect(stderr).toContain('-ltcmalloc');
  });

  it.runIf(canLinkStatically)('ps and heap tell of one that was started by others', async () => {
    const program = await buildTargetAside('allocators', STATIC_TCMALLOC);
    const service = await Service.run(shop, [], ['sh', '-c', `exec ${program}`]);
    await expectNotProfiled(service, `its executable ${seenByNobody}`);
  });

  it('ps and heap tell of a library that stands in front', async () => {
    const program = await buildTargetAside('allocators');
    const allocator = shop.compile('front.so', FRONT, ['-shared', '-fPIC']);
    const env = { LD_PRELOAD: `${allocator}:${shop.library}` };
    const service = await Service.start(shop, [program], { env });
    await expectNotProfiled(service, 'another preloaded library defines malloc in front of libcgoprof.so');
  });

  it('but one that passes on to the next is seen', async () => {
    const output = shop.path('wrapped.pb.gz');
    const program = shop.compile('wrapper', WRAPPER);
    const { code, stderr } = await shop.run(['run', '--rate', '1', '-o', output, '--', program]);
    expect([code, stderr]).toEqual([0, expect.stringContaining('1009 B in use by C')]);
  });
});

async function expectNotProfiled(service: Service, why: string): Promise<void> {
  const sentence = `pid ${service.pid}: not profiled: ${why}\n`;
  expect((await shop.run(['ps'])).stderr).toContain(sentence);
  const { code, stderr } = await shop.run(['heap', `${service.pid}`]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)]);
  expect((await service.end('')).code).toBe(0);
}

/** An allocator as simple as can be: never gives memory back. */
const FRONT = `
#include <stddef.h>
#include <string.h>
static _Alignas(16) char memory[64 << 20];
static size_t used;
void* malloc(size_t size) {
  size_t at = __atomic_fetch_add(&used, 16 + (size + 15) / 16 * 16, __ATOMIC_RELAXED);
  if (size > sizeof(memory) || at + 16 + size > sizeof(memory)) return NULL;
  *(size_t*)(memory + at) = size;
  return memory + at + 16;
}
void free(void* block) {}
void* calloc(size_t count, size_t size) { return malloc(count * size); }
void* realloc(void* block, size_t size) {
  void* moved = malloc(size);
  if (block == NULL || moved == NULL) return moved;
  size_t old = *(size_t*)((char*)block - 16);
  return memcpy(moved, block, old < size ? old : size);
}
`;

const releasing = (declaration: string, release: string) => `
#include <stdlib.h>
${declaration}
int main(void) {
  for (int i = 0; i < 101; i++) {
    void* volatile block = malloc(1009);
    ${release};
  }
}
`;

const making = (declaration: string, make: string, release: string) => `
#include <stddef.h>
${declaration}
void ${release.replace(/\(.*/, '')}();
int main(void) {
  for (int i = 0; i < 101; i++) {
    void* volatile block = ${make};
    if (i < 11) ${release};
  }
  return 0;
}
`;

/** The first attempt cannot succeed, and leaves the block as it is. */
const moving = (declaration: string, move: string) => `
#include <stdint.h>
#include <stdlib.h>
${declaration}
int main(void) {
  for (int i = 0; i < 101; i++) {
    void* volatile block = malloc(1009);
    if (${move.replace('SIZE', 'PTRDIFF_MAX')} != NULL) return 1;
    block = ${move.replace('SIZE', '5003')};
    if (i < 11) free(block);
  }
  return 0;
}
`;

const WRAPPER = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
void* malloc(size_t size) {
  static void* (*next)(size_t);
  if (!next) next = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  return next(size);
}
int main(void) {
  void* volatile kept = malloc(1009);
  return kept == NULL;
}
`;

/** Calls operator new and delete by the names that they have for the linker. */
const OPERATORS = `
#include <stddef.h>
extern void *_Znwm(size_t), _ZdlPv(void*);
int main(void) {
  for (int i = 0; i < 101; i++) {
    void* volatile kept = _Znwm(1009);
    void* volatile block = _Znwm(1009);
    _ZdlPv(block);
  }
  return 0;
}
`;

/** Takes long to read, for whoever reads all relocations. */
const RELOCATED = `
static void* const table[1 << 18] = {[0 ... (1 << 18) - 1] = (void*)table};
void* const* relocated(void) { return table; }
`;

const RELOADING = `
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
static atomic_int stop;
static pthread_t thread;
static void* reload(void* path) {
  while (!stop) {
    void* library = dlopen(path, RTLD_NOW);
    if (library != NULL) dlclose(library);
  }
  return NULL;
}
__attribute__((constructor)) static void start(void) { pthread_create(&thread, NULL, reload, PATH); }
__attribute__((destructor)) static void end(void) {
  stop = 1;
  pthread_join(thread, NULL);
}
`;
