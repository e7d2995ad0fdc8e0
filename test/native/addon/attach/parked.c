// A program of one thread that waits in the kernel, again and again, with known values in all its registers: whoever
// borrows the thread must give it back with every one of them, and must not end the wait early.
//
//   parked nanosleep | futex | poll | epoll | epoll-may-end-early | read | spin  [FILTER]
//
// FILTER: a seccomp filter. kill, trap, errno: what it answers to calls that it does not know, of any number that is
// none; memfd-trap: raises SIGSYS for memfd_create; no-threads: fails clone.
//
// `spin` never waits. Nor does the kernel begin epoll_wait again by itself after somebody stopped the thread. Ends,
// with a line that says what was changed, when anything was; runs for ever otherwise.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { kWaitMilliseconds = 50, kVectors = 16, kVectorBytes = 32, kRegisters = 6 };

static uint8_t vectors_before[kVectors][kVectorBytes], vectors_after[kVectors][kVectorBytes];
// RBX, RBP, R12 to R15: those that no system call takes or changes.
static uint64_t registers_before[kRegisters], registers_after[kRegisters];
static uint64_t arguments[6], arguments_after[6];  // RDI, RSI, RDX, R10, R8, R9

#define EACH_VECTOR(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_VECTOR(n) "vmovdqu " #n "*32(%%r11), %%ymm" #n "\n"
#define STORE_VECTOR(n) "vmovdqu %%ymm" #n ", " #n "*32(%%r11)\n"

__attribute__((noinline)) static long Call(long number) {
  long result;
  __asm__ volatile(
      "push %%rbx\n push %%rbp\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
      "lea vectors_before(%%rip), %%r11\n" EACH_VECTOR(LOAD_VECTOR)
      "lea registers_before(%%rip), %%r11\n"
      "mov 0(%%r11), %%rbx\n mov 8(%%r11), %%rbp\n mov 16(%%r11), %%r12\n"
      "mov 24(%%r11), %%r13\n mov 32(%%r11), %%r14\n mov 40(%%r11), %%r15\n"
      "lea arguments(%%rip), %%r11\n"
      "mov 0(%%r11), %%rdi\n mov 8(%%r11), %%rsi\n mov 16(%%r11), %%rdx\n"
      "mov 24(%%r11), %%r10\n mov 32(%%r11), %%r8\n mov 40(%%r11), %%r9\n"
      "syscall\n"
      "lea arguments_after(%%rip), %%r11\n"
      "mov %%rdi, 0(%%r11)\n mov %%rsi, 8(%%r11)\n mov %%rdx, 16(%%r11)\n"
      "mov %%r10, 24(%%r11)\n mov %%r8, 32(%%r11)\n mov %%r9, 40(%%r11)\n"
      "lea registers_after(%%rip), %%r11\n"
      "mov %%rbx, 0(%%r11)\n mov %%rbp, 8(%%r11)\n mov %%r12, 16(%%r11)\n"
      "mov %%r13, 24(%%r11)\n mov %%r14, 32(%%r11)\n mov %%r15, 40(%%r11)\n"
      "lea vectors_after(%%rip), %%r11\n" EACH_VECTOR(STORE_VECTOR)
      "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbp\n pop %%rbx\n"
      : "=a"(result)
      : "a"(number)
      : "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return result;
}

static void Fault(const char* what, long value) {
  printf("%s: %ld\n", what, value);
  exit(3);
}

static void Fill(void* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) ((uint8_t*)bytes)[i] = (uint8_t)rand();
}

static int64_t Milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// A wait, and what it returns when nothing disturbs it.
struct Wait {
  long number;
  long result;
};

static const struct timespec time_to_wait = {0, kWaitMilliseconds * 1000000};
static uint32_t futex_word;
static struct epoll_event event;
static uint64_t expirations;

static void SetArguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  Fill(arguments, sizeof(arguments));
  arguments[0] = a, arguments[1] = b, arguments[2] = c, arguments[3] = d;
}

static struct Wait Prepare(const char* kind, int epoll, int timer) {
  const uint64_t time = (uintptr_t)&time_to_wait;
  if (strcmp(kind, "nanosleep") == 0) {
    SetArguments(time, 0, 0, 0);
    return (struct Wait){SYS_nanosleep, 0};
  }
  if (strcmp(kind, "futex") == 0) {
    SetArguments((uintptr_t)&futex_word, FUTEX_WAIT, 0, time);
    return (struct Wait){SYS_futex, -ETIMEDOUT};
  }
  if (strcmp(kind, "poll") == 0) {
    SetArguments(0, 0, kWaitMilliseconds, 0);
    return (struct Wait){SYS_poll, 0};
  }
  if (strncmp(kind, "epoll", strlen("epoll")) == 0) {
    SetArguments((uint64_t)epoll, (uintptr_t)&event, 1, kWaitMilliseconds);
    return (struct Wait){SYS_epoll_wait, 0};
  }
  const struct itimerspec once = {{0, 0}, time_to_wait};
  timerfd_settime(timer, 0, &once, NULL);
  SetArguments((uint64_t)timer, (uintptr_t)&expirations, sizeof(expirations), 0);
  return (struct Wait){SYS_read, sizeof(expirations)};
}

// Answers `action` to calls from `first` on up to `last`.
static void Forbid(uint32_t first, uint32_t last, uint32_t action) {
  struct sock_filter rules[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
                                BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0), BPF_STMT(BPF_RET | BPF_K, action),
                                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) exit(4);
}

static void SetFilter(const char* filter) {
  const uint32_t none = 1000, last = 0xffffffff;
  if (strcmp(filter, "kill") == 0) Forbid(none, last, SECCOMP_RET_KILL_PROCESS);
  if (strcmp(filter, "trap") == 0) Forbid(none, last, SECCOMP_RET_TRAP);
  if (strcmp(filter, "errno") == 0) Forbid(none, last, SECCOMP_RET_ERRNO | EPERM);
  if (strcmp(filter, "memfd-trap") == 0) Forbid(SYS_memfd_create, SYS_memfd_create, SECCOMP_RET_TRAP);
  if (strcmp(filter, "no-threads") == 0) {
    Forbid(SYS_clone, SYS_clone, SECCOMP_RET_ERRNO | EAGAIN);
    Forbid(SYS_clone3, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  }
}

int main(int argc, char** argv) {
  if (argc > 2) SetFilter(argv[2]);
  const char* kind = argc > 1 ? argv[1] : "";
  const int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
  const uint32_t mxcsr = 0x1f80 | 0x2000;  // rounds down
  sigset_t mask, mask_after;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  puts("ready");
  fflush(stdout);
  for (volatile long turns = 0; strcmp(kind, "spin") == 0; turns++) {
  }
  for (;;) {
    const struct Wait wait = Prepare(kind, epoll, timer);
    Fill(vectors_before, sizeof(vectors_before));
    Fill(registers_before, sizeof(registers_before));
    const int64_t start = Milliseconds();
    uint32_t mxcsr_after;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    const long result = Call(wait.number);
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr_after));
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    if (result == -EINTR && strcmp(kind, "epoll-may-end-early") == 0) continue;
    if (result != wait.result) Fault("the call returned", result);
    if (Milliseconds() - start < kWaitMilliseconds - 1) Fault("it waited for ms", Milliseconds() - start);
    if (memcmp(vectors_before, vectors_after, sizeof(vectors_before)) != 0) Fault("a vector register changed", 0);
    if (memcmp(registers_before, registers_after, sizeof(registers_before)) != 0) Fault("a register changed", 0);
    if (memcmp(arguments, arguments_after, sizeof(arguments)) != 0) Fault("an argument's register changed", 0);
    if (mxcsr_after != mxcsr) Fault("MXCSR changed", (long)mxcsr_after);
    if (memcmp(&mask, &mask_after, sizeof(uint64_t)) != 0) Fault("the signal mask changed", 0);
  }
}
