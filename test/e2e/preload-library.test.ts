// Promise: the library loads into any program on any Linux since glibc 2.17, shows it no names but those it stands in
// front of, and brings no other library with it.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LIBRARY = `${ROOT}out/native/lib/libcgoprof.so`;

function show(program: string, ...options: string[]): string {
  return execFileSync(program, [...options, LIBRARY], { encoding: 'utf8' });
}

/** Dynamic symbols: name, and the version of libc that it came with. */
function symbols(kind: '--defined-only' | '--undefined-only'): { name: string; version: string }[] {
  const rows = show('nm', '-D', kind).trim().split('\n');
  return rows.map((row) => {
    const [name = '', version = ''] = row.trim().split(/\s+/).at(-1)?.split(/@+/) ?? [];
    return { name, version };
  });
}

/** Entries of the dynamic section with a tag. */
function dynamic(tag: string): string[] {
  const rows = show('readelf', '-dW').matchAll(/^ *0x[0-9a-f]+ \((\w+)\) +(.*)$/gm);
  return [...rows].filter(([, name]) => name === tag).map(([, , value = '']) => value);
}

function relocationTypes(): Set<string> {
  return new Set([...show('readelf', '-rW').matchAll(/\bR_X86_64_\w+/g)].map(([type]) => type));
}

test('exports the functions it stands in front of and those that a tool starts in it, and nothing else', () => {
  const names = symbols('--defined-only').map(({ name }) => name);
  expect(names.sort()).toEqual([
    'aligned_alloc',
    'calloc',
    'cgoprof_attach_load_v1',
    'cgoprof_attach_run_v1',
    'dlclose',
    'free',
    'free_aligned_sized',
    'free_sized',
    'malloc',
    'memalign',
    'posix_memalign',
    'pvalloc',
    'realloc',
    'valloc',
  ]);
});

test('stands in front of nothing that maps memory, loads libraries, or makes threads, processes or handlers', () => {
  const names = symbols('--defined-only').map(({ name }) => name);
  // The Go heap of a cgo program is mapped through libc; dlopen looks at who calls it.
  const notOurs = /map|brk|^dlm?open|^dlsym|pthread|thrd|fork|clone|spawn|^exec|exit|signal|sigaction|printf|setenv/;
  expect(names.filter((name) => notOurs.test(name))).toEqual([]);
});

test('needs no symbol newer than glibc 2.17', () => {
  const needed = [...show('readelf', '-VW').matchAll(/Name: (\S+)/g)].map(([, version = '']) => version);
  expect(new Set(needed)).toEqual(new Set(symbols('--undefined-only').flatMap(({ version }) => version || [])));
  const tooNew = needed.filter((version) => {
    const [, major, minor] = /^GLIBC_(\d+)\.(\d+)(?:\.\d+)?$/.exec(version) ?? [];
    return !(Number(major) === 2 && Number(minor) <= 17);
  });
  expect(tooNew).toEqual([]);
});

test('needs libc and the loader alone', () => {
  const needed = dynamic('NEEDED').map((value) => /\[(.*)\]/.exec(value)?.[1]);
  expect(needed.sort()).toEqual(['ld-linux-x86-64.so.2', 'libc.so.6']);
  expect([...dynamic('RPATH'), ...dynamic('RUNPATH')]).toEqual([]);
});

test('has its thread-local storage in the static block, and 64 bytes of it at most', () => {
  expect(symbols('--undefined-only').map(({ name }) => name)).not.toContain('__tls_get_addr');
  expect([...relocationTypes()].filter((type) => /DTPMOD|DTPOFF|TLSDESC/.test(type))).toEqual([]);
  expect(dynamic('FLAGS').join()).toContain('STATIC_TLS');
  const [, size] = /^ +TLS +0x\w+ 0x\w+ 0x\w+ 0x\w+ (0x\w+)/m.exec(show('readelf', '-lW')) ?? [];
  expect(Number(size)).toBeGreaterThan(0);
  expect(Number(size)).toBeLessThanOrEqual(64);
});

test('is bound when it is loaded, and never unloaded', () => {
  const flags = dynamic('FLAGS_1').join().replace('Flags:', '').trim().split(' ');
  expect(flags.sort()).toEqual(['NODELETE', 'NOW']);
});

test('calls nothing of libc that allocates, locks, prints or ends the process', () => {
  const names = symbols('--undefined-only').map(({ name }) => name);
  expect(names).toContain('memcpy');
  // The loader's lock is taken at start and while it is attached, never in a hook; the other keeps forks off meanwhile.
  const outsideOfHooks = ['dl_iterate_phdr'];
  expect(
    names.filter((name) => /alloc|free|str(n?)dup|print|puts|pthread|sem_|abort|exit|raise|^dl/.test(name)),
  ).toEqual(outsideOfHooks);
  expect(names.filter((name) => /_chk$|__stack_chk_fail|^_Z|__gxx_personality|_Unwind/.test(name))).toEqual([]);
});

test('has the code that loads it in a section that works by itself, wherever two pages of it are mapped', () => {
  const [, address = '', size = ''] =
    / cgoprof_attach_load +PROGBITS +(\w+) \w+ (\w+) /.exec(show('readelf', '-SW')) ?? [];
  expect(Number.parseInt(address, 16) % 4096).toBe(0);
  expect(Number.parseInt(size, 16)).toBeGreaterThan(0);
  expect(Number.parseInt(size, 16)).toBeLessThanOrEqual(2 * 4096);
  const code = show('objdump', '-d', '--no-show-raw-insn', '-j', 'cgoprof_attach_load');
  const jumps = [...code.matchAll(/\t(call|jmp|j\w+) +(.*)$/gm)].map(([, , to = '']) => to);
  // To somewhere in itself, or to where a register or the mailbox says.
  expect(jumps.filter((to) => !/^\w+ <cgoprof_attach_load_v1\+0x\w+>$|^\*%r|^\*0x\w+\(%r/.test(to))).toEqual([]);
  expect(jumps.filter((to) => to.startsWith('*')).length).toBeGreaterThanOrEqual(5);
  expect(code).not.toContain('(%rip)');
});
