// Promise: a process that must not, or cannot, be attached to is refused with the reason and what to do; it lives on as if
// nobody had asked.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  attach,
  compileAlone,
  detach,
  endWell,
  headerOf,
  profileOf,
  refusal,
  refused,
} from '../support/attach-control.js';
import { copiesOfLibrary, outsideOf, untilAlone } from '../support/attach-outside.js';
import { NOBODY, type StartOptions, Workshop } from '../support/cgoprof.js';
import { Service } from '../support/service.js';
import { total } from '../support/sites.js';

const isRoot = process.getuid?.() === 0;
const OWN_MOUNTS = ['unshare', '--mount', '--pid', '--fork', '--mount-proc'];
const canMount =
  spawnSync(OWN_MOUNTS[0] ?? '', [...OWN_MOUNTS.slice(1), 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
const canUseMusl = spawnSync('musl-gcc', ['--version']).status === 0;

let shop: Workshop;
let alone: string;
beforeAll(() => {
  shop = new Workshop();
  alone = compileAlone(shop);
});
afterAll(() => shop.remove());

/** Starts a program that waits for lines, as alone does. */
const start = (words: readonly string[], options: StartOptions = {}) => Service.start(shop, words, options);

/** It is refused for a reason that begins so, nothing can be seen of the attempt, and the program goes on. */
async function expectRefused(service: Service, why: RegExp, options: StartOptions = {}): Promise<void> {
  await service.obey(''); // It has come to where it waits.
  const before = outsideOf(service.pid);
  expect(await refusal(shop, service.pid, options)).toMatch(why);
  expect(outsideOf(service.pid)).toEqual(before);
  await service.obey('leak');
  await endWell(service);
}

describe('what is no process that could run anything', () => {
  it('no such process', async () => {
    const service = await start([alone, 'poll']);
    await endWell(service);
    expect(await refusal(shop, service.pid)).toMatch(/^no such process\n/);
  });

  it('a zombie', async () => {
    const service = await start([shop.compile('zombie', WITH_ZOMBIE)]);
    const child = Number((await service.line(/^child (\d+)$/m))[1]);
    expect(await refusal(shop, child)).toMatch(/^a zombie: it has ended\n/);
    await endWell(service);
  });

  it('one that is stopped, until it goes on', async () => {
    const service = await start([alone, 'poll']);
    process.kill(service.pid, 'SIGSTOP');
    expect(await refusal(shop, service.pid)).toMatch(/^stopped by a signal, .*\n {2}.*kill -CONT \d+\n$/);
    expect(readFileSync(`/proc/${service.pid}/stat`, 'utf8')).toMatch(/^\d+ \(alone\) T /);
    process.kill(service.pid, 'SIGCONT');
    expect((await attach(shop, service.pid)).how).toBe('injected');
    await endWell(service);
  });

  it.each(['TRACEME', 'SEIZE'])('one that is traced, by PTRACE_%s', async (way) => {
    const service = await start([shop.compile(`tracer-${way}`, TRACER, [`-D${way}`])]);
    const child = Number((await service.line(/^child (\d+)$/m))[1]);
    const why = new RegExp(`^traced by pid ${service.pid} \\(.*\\) already, `);
    expect(await refusal(shop, child)).toMatch(why);
    await endWell(service);
  });
});

describe.runIf(isRoot)('what we may not trace', () => {
  it('another user’s', async () => {
    const service = await start([alone, 'poll']);
    await expectRefused(service, /^it belongs to another user\n.*sudo cgoprof attach \d+/, { uid: NOBODY });
  });

  it('our own, that is closed to us', async () => {
    const service = await start([shop.compile('closed', waiting('prctl(PR_SET_DUMPABLE, 0);', ['sys/prctl.h']))], {
      uid: NOBODY,
    });
    expect(await refusal(shop, service.pid, { uid: NOBODY })).toMatch(/^it is closed to its own user: /);
    await service.obey('');
    await endWell(service);
  });

  it('which root may', async () => {
    const service = await start([alone, 'poll'], { uid: NOBODY });
    const attached = await attach(shop, service.pid, { env: { CGOPROF_DIR: '' } });
    expect(dirname(attached.segment)).toBe(`/dev/shm/cgoprof-${NOBODY}`);
    expect(statSync(attached.segment)).toMatchObject({ uid: NOBODY, mode: 0o100600 });
    await endWell(service);
    rmSync(attached.segment, { force: true }); // where its end has left it
  });

  it('root’s, as a root without CAP_SYS_PTRACE', async () => {
    const service = await start([alone, 'poll']);
    const without = ['setpriv', '--bounding-set', '-sys_ptrace', '--inh-caps', '-sys_ptrace'];
    const finished = await shop.launch([...without, ...shop.tool, 'attach', `${service.pid}`]).finished;
    expect(refused(service.pid, finished)).toMatch(/^the kernel forbids it: this root has no CAP_SYS_PTRACE\n/);
    await endWell(service);
  });
});

describe('what nothing can be loaded into', () => {
  it('a static executable', async () => {
    const service = await start([shop.compile('static', waiting(), ['-static'])]);
    await expectRefused(service, /^its executable is linked statically, /);
  });

  it.runIf(canUseMusl)('one with musl', async () => {
    const path = shop.path('musl');
    execFileSync('musl-gcc', ['-o', path, shop.write('musl.c', waiting())]);
    await expectRefused(await start([path]), /^its C library is not glibc: .*musl/);
  });

  it('one whose static thread-local storage is used up', async () => {
    const library = shop.compile('tls.so', TLS_LIBRARY, ['-shared', '-fPIC']);
    const copies = Array.from({ length: 200 }, (_, i) => shop.path(`tls-${i}.so`));
    for (const copy of copies) copyFileSync(library, copy);
    const service = await start([shop.compile('exhausted', waiting(EXHAUST_TLS, ['dlfcn.h']), ['-ldl'])], {
      env: { TLS_PATTERN: shop.path('tls-%d.so') },
    });
    await service.line(/^loaded [1-9]\d* of them$/m);
    await expectRefused(service, /^no room is left in its static TLS block, /);
  });
});

describe('one that has a library whose file was overwritten in place', () => {
  let file: string;
  let program: string;
  beforeAll(() => {
    file = shop.compile('overwritten.so', TLS_LIBRARY, ['-shared', '-fPIC', '-Wl,-soname,overwritten.so.1']);
    const loads = waiting('if (dlopen(getenv("LIBRARY"), RTLD_NOW) == NULL || atexit(leave) != 0) return 1;', [
      'dlfcn.h',
    ]);
    program = shop.compile('overwritten', loads.replace('int main', 'static void leave(void) { _exit(0); }\nint main'));
  });

  /** Has its library, and another one of that name on disk. */
  const startWithCopy = async (name: string) => {
    const library = shop.path(name);
    copyFileSync(file, library);
    return { library, service: await start([program], { env: { LIBRARY: library } }) };
  };

  /** Overwrites a file as `dd conv=notrunc` and `rsync --inplace` do: what was there is not cut off first. */
  function overwrite(path: string, contents: Uint8Array): void {
    const fd = openSync(path, 'r+');
    writeSync(fd, contents);
    closeSync(fd);
  }

  it.each<[string, (library: string) => void]>([
    ['cut short', (library) => truncateSync(library)],
    ['cut in half', (library) => truncateSync(library, 8192)],
    ['by itself', (library) => writeFileSync(library, readFileSync(file))],
    ['by another library', (library) => writeFileSync(library, readFileSync(shop.library))],
    ['by another library, not cut short first', (library) => overwrite(library, readFileSync(shop.library))],
    ['by anything', (library) => writeFileSync(library, Buffer.alloc(20_000, 'no library'))],
    ['by anything, not cut short first', (library) => overwrite(library, Buffer.alloc(20_000, 'no library'))],
  ])('%s: the loader might crash it', async (how, change) => {
    const { library, service } = await startWithCopy(`${how.replaceAll(/\W+/g, '-')}.so`);
    change(library);
    const why = `^the file of a library that it uses was overwritten in place: ${library}\\. `;
    await expectRefused(service, new RegExp(why));
  });

  it('but a library whose dynamic section is read-only is whole', async () => {
    const library = shop.path('read-only.so');
    writeFileSync(library, withReadOnlyDynamicSection(readFileSync(file)));
    const service = await start([program], { env: { LIBRARY: library } });
    expect((await attach(shop, service.pid)).how).toBe('injected');
    await endWell(service);
  });

  it('and a file renamed into its place is another', async () => {
    const { library, service } = await startWithCopy('renamed.so');
    copyFileSync(shop.library, `${library}.new`);
    renameSync(`${library}.new`, library);
    expect((await attach(shop, service.pid)).how).toBe('injected');
    await endWell(service);
  });

  it('nor is anything to be loaded to detach from it', async () => {
    const { library, service } = await startWithCopy('late.so');
    await attach(shop, service.pid);
    writeFileSync(library, '');
    await detach(shop, service.pid);
    expect(headerOf(await attach(shop, service.pid))).toMatchObject({ state: 'running', attachments: 2 });
    await endWell(service);
  });
});

it('one of whose threads holds the loader’s lock, until it lets it go', async () => {
  const fifo = shop.path('fifo');
  execFileSync('mkfifo', [fifo]);
  const library = shop.compile('slow.so', SLOW_LIBRARY, ['-shared', '-fPIC', `-DFIFO="${fifo}"`]);
  const loads = waiting(LOAD_ASIDE, ['dlfcn.h', 'pthread.h']).replace('int main', `${LOADER}int main`);
  const service = await start([shop.compile('loads', loads, ['-pthread', `-DLIBRARY="${library}"`])]);
  expect(await refusal(shop, service.pid)).toMatch(/^it did not answer in time; /);
  await service.obey('');
  writeFileSync(fifo, 'go on');
  await untilAlone(service.pid);

  const attached = await attach(shop, service.pid);
  expect(attached.how).toBe('injected');
  expect(headerOf(attached)).toMatchObject({ state: 'running', attachments: 1 });
  expect(copiesOfLibrary(service.pid)).toBe(1);
  await endWell(service);
});

describe('limits', () => {
  it.each([
    ['-v 65536', /^not profiled: .*the process has no address space for it\n/],
    ['-f 1', /^not profiled: .*the process may not write files that long\n/],
  ])('ulimit %s', async (limit, why) => {
    await expectRefused(await start(['sh', '-c', `ulimit ${limit}; exec "$@"`, 'sh', alone, 'nanosleep']), why);
  });

  it('no file may be opened', async () => {
    const limit = 'setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0});';
    const service = await start([shop.compile('no-files', waiting(limit, ['sys/resource.h']))]);
    await expectRefused(service, /^it has no room for what attaching takes \(Too many open files\)\n/);
  });
});

describe('a seccomp filter', () => {
  it.runIf(isRoot).each([
    ['answers with an error', 'SECCOMP_RET_ERRNO | EPERM'],
    ['kills', 'SECCOMP_RET_KILL_PROCESS'],
    ['raises a signal', 'SECCOMP_RET_TRAP'],
  ])('that %s: root reads it', async (_, action) => {
    const service = await start([shop.compile('filtered', filtered(action))]);
    await expectRefused(service, /^its seccomp filter forbids memfd_create, /);
  });

  it.runIf(isRoot)('that forbids nothing of it does not matter', async () => {
    const service = await start([shop.compile('harmless', filtered('SECCOMP_RET_ALLOW'))]);
    expect((await attach(shop, service.pid)).how).toBe('injected');
    await service.obey('');
    await endWell(service);
  });

  it.runIf(isRoot)('that its user may not read: not unless it is trusted', async () => {
    const program = shop.compile('unread', filtered('SECCOMP_RET_ERRNO | EPERM'));
    const options = { uid: NOBODY, env: { CGOPROF_DIR: '' } };
    const service = await start([program], options);
    expect(await refusal(shop, service.pid, options)).toMatch(/^it has a seccomp filter that we may not read; /);
    const { pid } = service;
    const finished = await shop.run(['attach', `${pid}`, '--trust-seccomp'], options);
    expect(refused(pid, finished)).toMatch(/memfd_create|Operation not permitted/);
    await service.obey('');
    await endWell(service);
  });
});

describe.runIf(isRoot && canMount)('what the process sees of the file system', () => {
  /** Starts alone in mounts, and pids, of its own. @returns it with the pid that we know it by */
  async function inside(prepare: string, words: readonly string[], env: Readonly<Record<string, string>>) {
    const script = `${prepare} exec "$@"`;
    const service = await start([...OWN_MOUNTS, 'sh', '-ec', script, 'sh', ...words], { env });
    expect(service.pid).toBe(1);
    const outer = `${service.process.pid}`;
    const pid = Number(readFileSync(`/proc/${outer}/task/${outer}/children`, 'utf8'));
    return { service, pid };
  }

  it('too little memory for a segment', async () => {
    const DIR = shop.path('small');
    mkdirSync(DIR, { mode: 0o700 });
    const { service, pid } = await inside('mount -t tmpfs -o size=64k,mode=700 none $DIR;', [alone, 'poll'], { DIR });
    expect(await refusal(shop, pid, { env: { CGOPROF_DIR: DIR } })).toMatch(
      /^not profiled: .*there was no room for it\n/,
    );
    await service.obey('leak');
    await endWell(service);
  });

  it('but mounts and pids of its own are no hindrance', async () => {
    const { service, pid } = await inside('mount -t tmpfs none /dev/shm;', [alone, 'poll'], {});
    await expectToWork(service, pid);
  });

  it('nor is a root without our files', async () => {
    const root = chroot();
    const mounts = `mount -t proc none ${root}/proc; mount -t tmpfs none ${root}/dev/shm;`;
    const { service, pid } = await inside(mounts, ['chroot', root, '/alone', 'poll'], {});
    await expectToWork(service, pid);
  });

  it('if only it has /proc', async () => {
    const root = chroot();
    const { service, pid } = await inside(
      `mount -t tmpfs none ${root}/dev/shm;`,
      ['chroot', root, '/alone', 'poll'],
      {},
    );
    expect(await refusal(shop, pid)).toMatch(
      /^its loader could not load the library: \/proc\/self\/\S+: cannot open shared object file/,
    );
    await service.obey('leak');
    await endWell(service);
  });

  /** A root file system with alone and what it is linked with, and nothing else. */
  function chroot(): string {
    const root = shop.path('root');
    for (const folder of ['proc', 'dev/shm']) mkdirSync(join(root, folder), { recursive: true });
    const libraries = execFileSync('ldd', [alone], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
    for (const [, path = ''] of libraries) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      copyFileSync(path, join(root, path));
    }
    copyFileSync(alone, join(root, 'alone'));
    expect(existsSync(join(root, shop.library))).toBe(false);
    return root;
  }

  async function expectToWork(service: Service, pid: number): Promise<void> {
    const options = { env: { CGOPROF_DIR: '' } };
    const attached = await attach(shop, pid, options);
    expect(attached.how).toBe('injected');
    expect(headerOf(attached)).toMatchObject({ pid: 1, state: 'running' });
    expect(statSync(attached.segment).dev).not.toBe(statSync('/dev/shm').dev);
    await service.obey('leak');
    const ofLeak = (await profileOf(shop, pid, options)).filter(({ values: [blocks] }) => blocks === 101);
    expect(total(ofLeak)).toEqual([101, 101909, 101, 101909]);
    await detach(shop, pid, options);
    await endWell(service);
  }
});

/** As `-z rodynamic` of LLVM's linker has it: glibc leaves such a section as it is. */
function withReadOnlyDynamicSection(image: Buffer): Buffer {
  const headers = Number(image.readBigUInt64LE(32));
  const count = image.readUInt16LE(56);
  const [PT_DYNAMIC, PF_R] = [2, 4];
  const of = Array.from({ length: count }, (_, i) => headers + 56 * i).filter(
    (at) => image.readUInt32LE(at) === PT_DYNAMIC,
  );
  expect(of).toHaveLength(1);
  for (const at of of) image.writeUInt32LE(PF_R, at + 4);
  return image;
}

/** Does something, then answers lines until the end of its input. */
function waiting(first = '', headers: readonly string[] = []): string {
  return `#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
${headers.map((name) => `#include <${name}>`).join('\n')}
int main(void) {
  ${first}
  char text[64];
  int bytes = snprintf(text, sizeof(text), "pid %d\\nready\\n", getpid());
  while (bytes > 0 && write(1, text, bytes) == bytes) {
    if (read(0, text, sizeof(text)) <= 0) break;
    bytes = snprintf(text, sizeof(text), "done\\n");
  }
  return 0;
}
`;
}

/** A filter that has an answer of its own to memfd_create. */
function filtered(action: string): string {
  const headers = ['linux/filter.h', 'linux/seccomp.h', 'errno.h', 'stddef.h', 'sys/prctl.h', 'sys/syscall.h'];
  const install = `
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, ${action}),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 1;`;
  return waiting(install, headers);
}

const WITH_ZOMBIE = waiting(
  `
  const pid_t child = fork();
  if (child == 0) _exit(0);
  printf("child %d\\n", child);
  fflush(stdout);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);`,
  ['sys/wait.h'],
);

/** The child ends with the pipe's other end, which only the tracer has. */
const TRACER = waiting(
  `
  int end[2];
  if (pipe(end) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    close(end[1]);
#ifdef TRACEME
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
#endif
    _exit(read(end[0], &byte, 1) == 0 ? 0 : 1);
  }
#ifdef TRACEME
  waitpid(child, NULL, 0);
  ptrace(PTRACE_CONT, child, 0, 0);
#else
  if (ptrace(PTRACE_SEIZE, child, 0, 0) != 0) return 1;
#endif
  printf("child %d\\n", child);
  fflush(stdout);`,
  ['signal.h', 'sys/ptrace.h', 'sys/wait.h'],
);

const SLOW_LIBRARY = `
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void load(void) {
  char text[16];
  const int fd = open(FIFO, O_RDONLY);
  while (read(fd, text, sizeof(text)) > 0) continue;
  close(fd);
}
`;
const LOADER = 'static void* load(void* path) { return dlopen(path, RTLD_NOW); }\n';
const LOAD_ASIDE = `
  pthread_t thread;
  if (pthread_create(&thread, NULL, load, LIBRARY) != 0) return 1;`;

const TLS_LIBRARY = `
static __thread char storage[16] __attribute__((tls_model("initial-exec")));
char* storage_address(void) { return storage; }
`;

/** Loads copies of it until there is no room for another one. */
const EXHAUST_TLS = `
  int loaded = 0;
  for (; loaded < 200; loaded++) {
    char path[4096];
    snprintf(path, sizeof(path), getenv("TLS_PATTERN"), loaded);
    if (dlopen(path, RTLD_NOW) == NULL) break;
  }
  if (loaded == 200) return 1;
  printf("loaded %d of them\\n", loaded);
  fflush(stdout);`;
