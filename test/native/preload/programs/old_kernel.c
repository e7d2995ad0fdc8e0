// Runs a program as if on a kernel that does not know an advice to madvise, nor those that came after it:
// old_kernel ADVICE PROGRAM [ARGUMENT…]. 23, MADV_POPULATE_WRITE, came with Linux 5.14; 18, MADV_WIPEONFORK, with 4.14.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define UNLESS_FROM(value, skip) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, 0, skip)

static int install_filter(int first_unknown) {
  struct sock_filter code[] = {
      LOAD(arch),
      UNLESS(AUDIT_ARCH_X86_64, 5),
      LOAD(nr),
      UNLESS(SYS_madvise, 3),
      LOAD(args[2]),
      UNLESS_FROM((unsigned)first_unknown, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(int argc, char** argv) {
  static char page[1 << 16] __attribute__((aligned(1 << 16)));
  const int first_unknown = argc < 3 ? 0 : atoi(argv[1]);
  if (first_unknown <= 0 || !install_filter(first_unknown)) return 2;
  if (madvise(page, sizeof(page), first_unknown) == 0 || errno != EINVAL) return 3;
  execv(argv[2], argv + 2);
  return 4;
}
