// A signal handler that leaves by siglongjmp while the recorder reads the mappings; afterwards a library is loaded,
// which the recorder can only know of if it reads them again. So that the signal comes at the right moment, opening a
// file raises SIGSYS, whose handler opens it (under another system call's number) and sends the signal.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t armed;
static sigjmp_buf before;
static void* volatile keep;

static void on_open(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
  const long opened = syscall(SYS_open, registers[REG_RSI], registers[REG_RDX], registers[REG_R10]);
  registers[REG_RAX] = opened >= 0 ? opened : -errno;
  if (!armed) return;
  armed = 0;
  raise(SIGUSR1);
}

static void on_signal(int signal) {
  (void)signal;
  siglongjmp(before, 1);
}

static int trap_open(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
  struct sigaction action = {.sa_sigaction = on_open, .sa_flags = SA_SIGINFO};
  return sigaction(SIGSYS, &action, NULL) == 0 && signal(SIGUSR1, on_signal) != SIG_ERR &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Further down the stack than what follows: below an allocation that was left, the recorder takes all others to be the
// handler's.
__attribute__((noinline)) static void allocate(void) {
  char volatile room[1024];
  room[0] = 1;
  keep = malloc(331 + room[0] - 1);
}

int main(int argc, char** argv) {
  if (argc != 2 || !trap_open()) return 2;
  // A library that was unloaded is what makes the recorder read the mappings with the next allocation.
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL || dlclose(library) != 0) return 3;
  armed = 1;
  if (sigsetjmp(before, 1) == 0) {
    allocate();
    return 4;
  }
  library = dlopen(argv[1], RTLD_NOW);
  void* (*leak)(void) = (void* (*)(void))dlsym(library, "unloadable_leak");
  return leak == NULL || leak() == NULL;
}
