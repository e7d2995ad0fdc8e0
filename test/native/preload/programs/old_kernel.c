// Runs a program as if on a kernel before 5.14, which does not know MADV_POPULATE_WRITE: old_kernel PROGRAM [ARGUMENT…]
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POPULATE_WRITE 23
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

static int install_filter(void) {
  struct sock_filter code[] = {
      LOAD(arch),
      UNLESS(AUDIT_ARCH_X86_64, 5),
      LOAD(nr),
      UNLESS(SYS_madvise, 3),
      LOAD(args[2]),
      UNLESS(POPULATE_WRITE, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(int argc, char** argv) {
  static char page[1 << 16] __attribute__((aligned(1 << 16)));
  if (argc < 2 || !install_filter()) return 2;
  if (madvise(page, sizeof(page), POPULATE_WRITE) == 0 || errno != EINVAL) return 3;
  execv(argv[1], argv + 1);
  return 4;
}
