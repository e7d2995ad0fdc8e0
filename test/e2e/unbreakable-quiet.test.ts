// Promise: inside a process that is profiled the library does next to nothing that the kernel notices: it takes pages of
// its segment, reads the mappings when libraries come and go, and neither prints, nor waits (but for another thread that
// reads the mappings), nor starts threads, nor touches signal handlers or descriptors.
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it, type TestContext } from 'vitest';
import { Workshop } from '../support/cgoprof.js';

/** Allocates much between two marks; a library goes and memory comes between two others. */
const SOURCE = `#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static void *kept[20011];
static void *volatile block;
static void mark(const char *name) { if (write(-1, name, 1) == 0) abort(); }
int main(void) {
  block = malloc(1);
  mark("a");
  for (int i = 0; i < 20011; i++) kept[i] = malloc(97);
  for (int i = 0; i < 20011; i++) { block = malloc(i); free(block); }
  for (int i = 0; i < 20011; i++) free(kept[i]);
  mark("b");
  void *library = dlopen("libm.so.6", RTLD_NOW);
  if (library == NULL || dlclose(library) != 0) return 2;
  mark("c");
  block = malloc(101);
  mark("d");
  return 0;
}
`;

interface Call {
  readonly name: string;
  readonly args: string;
}

let shop: Workshop;
let program: string;
beforeAll(() => {
  shop = new Workshop();
  program = shop.compile('quiet', SOURCE, ['-ldl']);
});
afterAll(() => shop.remove());

/** The system calls of the program, under the library or without. */
async function trace({ skip }: TestContext, preload: boolean): Promise<Call[]> {
  const output = shop.path('calls');
  const settings = [
    `LD_PRELOAD=${shop.library}`,
    `CGOPROF_DIR=${shop.segments}`,
    'CGOPROF_PROFILE=all',
    'CGOPROF_RATE=1',
  ];
  const set = preload ? settings.flatMap((setting) => ['-E', setting]) : [];
  const words = ['sh', '-c', 'command -v strace >/dev/null || exit 77; exec strace "$@"', 'sh'];
  const { code, stdout, stderr } = await shop.launch([...words, '-f', '-o', output, ...set, program]).finished;
  if (code === 77 || !existsSync(output) || /PTRACE_|ptrace/.test(stderr)) skip('nothing can be traced here');
  expect([code, stdout, stderr]).toEqual([0, '', '']);
  return readFileSync(output, 'latin1')
    .split('\n')
    .flatMap((row) => {
      const [, name, args] = /^\d+ +(\w+)\((.*)$/.exec(row) ?? [];
      return name === undefined || args === undefined ? [] : [{ name, args }];
    });
}

function between(calls: readonly Call[], from: string, to: string): Call[] {
  const at = (name: string) =>
    calls.findIndex((call) => call.name === 'write' && call.args.startsWith(`-1, "${name}"`));
  expect(at(from)).toBeGreaterThan(0);
  expect(at(to)).toBeGreaterThan(at(from));
  return calls.slice(at(from) + 1, at(to));
}

const names = (calls: readonly Call[]): string[] => calls.map(({ name }) => name);

it('allocating takes pages of the segment and does nothing else', async (test) => {
  const expected = names(between(await trace(test, false), 'a', 'b'));
  const calls = between(await trace(test, true), 'a', 'b');
  const isPages = ({ name, args }: Call) =>
    (name === 'madvise' && args.includes('MADV_POPULATE_WRITE')) ||
    (name === 'mprotect' && args.includes('PROT_WRITE'));
  expect(calls.filter(isPages).length).toBeGreaterThan(0);
  expect(names(calls.filter((call) => !isPages(call)))).toEqual(expected);
});

it('after a library has gone the mappings are read, with signals held back', async (test) => {
  expect(names(between(await trace(test, false), 'c', 'd'))).toEqual([]);
  const calls = between(await trace(test, true), 'c', 'd');
  const opened = calls.filter(({ name }) => name === 'openat').map(({ args }) => /"(.*)"/.exec(args)?.[1]);
  expect(new Set(opened)).toEqual(new Set(['/proc/self/maps', '/proc/self/mem']));
  expect(names(calls).filter((name) => name === 'close')).toHaveLength(opened.length);
  const others = names(calls).filter((name) => !['openat', 'read', 'pread64', 'close', 'futex'].includes(name));
  expect(new Set(others)).toEqual(new Set(['rt_sigprocmask']));
  expect(calls[0]?.args).toContain('SIG_BLOCK');
  expect(calls.some(({ args }) => args.startsWith('SIG_SETMASK'))).toBe(true);
});

it('from start to end there is no thread, no handler, no word, and no file but its own', async (test) => {
  const bare = await trace(test, false);
  const calls = await trace(test, true);
  const count = (list: readonly Call[], name: string) => names(list).filter((one) => one === name).length;
  const never = [
    'clone',
    'clone3',
    'fork',
    'vfork',
    'execve',
    'rt_sigaction',
    'sigaltstack',
    'kill',
    'tgkill',
    'socket',
  ];
  const same = [...never, 'write', 'writev', 'dup', 'dup2', 'fcntl', 'setitimer', 'timer_create', 'ioctl'];
  for (const name of same) expect([name, count(calls, name)]).toEqual([name, count(bare, name)]);
  const opened = (list: readonly Call[]) =>
    list.filter(({ name }) => name === 'openat').map(({ args }) => /"(.*?)"/.exec(args)?.[1] ?? '');
  const expected = new Set(opened(bare));
  const ours = opened(calls).filter((path) => !expected.has(path));
  const own = [shop.library, shop.segments, '/proc/self/', '/proc/sys/kernel/random/boot_id'];
  expect(ours.filter((path) => !own.some((prefix) => path.startsWith(prefix)) && !/^\d+-\d+\.seg$/.test(path))).toEqual(
    [],
  );
  // All of them are closed again.
  const leftOpen = (list: readonly Call[]) => opened(list).length - count(list, 'close');
  expect(leftOpen(calls)).toBe(leftOpen(bare));
});
