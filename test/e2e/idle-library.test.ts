// Promise: of a process that the library is loaded into and that is not recorded, `heap` says nothing that is not so.
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Workshop } from '../support/cgoprof.js';
import { Service } from '../support/service.js';

let shop: Workshop;
beforeAll(() => {
  shop = new Workshop();
});
afterAll(() => shop.remove());

async function expectSaid(service: Service, sentence: string): Promise<void> {
  const { code, stderr } = await shop.run(['heap', `${service.pid}`]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`cgoprof: pid ${service.pid}: ${sentence}\n`)]);
  expect((await service.end('')).code).toBe(0);
}

const preloaded = (profile: string): Record<string, string> => ({ LD_PRELOAD: shop.library, CGOPROF_PROFILE: profile });

it('one that is not chosen', async () => {
  const service = await Service.start(shop, [shop.compile('waiting', WAITING)], { env: preloaded('go') });
  await expectSaid(service, 'libcgoprof.so is loaded but dormant: CGOPROF_PROFILE=go does not choose this process');
});

it('one in which the library could neither start nor leave word why', async () => {
  const CGOPROF_DIR = shop.path('everybodys');
  mkdirSync(CGOPROF_DIR, { mode: 0o755 });
  const words = [shop.compile('without-memfd', WITHOUT_MEMFD), shop.compile('waiting', WAITING)];
  const service = await Service.start(shop, words, { env: { ...preloaded('waiting'), CGOPROF_DIR } });
  await expectSaid(service, 'not profiled: libcgoprof.so is loaded but records nothing, and has not said why');
});

it('a fork of one that is recorded', async () => {
  const service = await Service.start(shop, [shop.compile('forking', FORKING)], { env: preloaded('forking') });
  const [, parent] = await service.line(/^parent (\d+)$/m);
  await expectSaid(service, `not profiled: a fork of pid ${parent}, of which alone is recorded`);
});

/** Lasts until it is given a line. */
const WAITING = `
#include <stdio.h>
#include <unistd.h>
int main(void) {
  printf("pid %d\\nready\\n", getpid());
  fflush(stdout);
  getchar();
  return 0;
}
`;

/** Its child is the one that waits. */
const FORKING = `
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
  int status = 1;
  if (fork() != 0) {
    wait(&status);
    return status;
  }
  printf("parent %d\\npid %d\\nready\\n", getppid(), getpid());
  fflush(stdout);
  getchar();
  return 0;
}
`;

/** Executes its arguments, with memfd_create refused. */
const WITHOUT_MEMFD = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char** arguments) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 2;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 3;
  execv(arguments[1], arguments + 1);
  return 4;
}
`;
