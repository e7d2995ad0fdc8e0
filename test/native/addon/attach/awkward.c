// Programs in which hardly a thread is fit to be borrowed. Each notices what came of borrowing the wrong one.
//
//   awkward setxid         a thread has all others change their user, again and again, with libc's lock held
//   awkward setxid-waits   the only thread that waits in the kernel waits for that, for two seconds
//   awkward handler        the only one that waits does so in a signal handler, which interrupted malloc
//   awkward small-stack    the only one that waits has used up its stack, below which somebody else's memory lies
//   awkward swap FILE      another file comes to the place of any descriptor that is opened
//
// Ends with a line that says what is wrong, when something is; runs for ever otherwise.
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void Fault(const char* what) {
  puts(what);
  exit(3);
}

static void Ready(void) {
  puts("ready");
  fflush(stdout);
}

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Without waiting in the kernel.
static void SpinFor(double seconds) {
  const double end = Now() + seconds;
  while (Now() < end) {
  }
}

static void SleepFor(long milliseconds) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static void Start(void* (*function)(void*), void* argument, const pthread_attr_t* attributes) {
  pthread_t thread;
  if (pthread_create(&thread, attributes, function, argument) != 0) Fault("no thread");
}

// Ends the program when a counter stands still.
static volatile long progress;
static void WatchProgress(void (*pause)(void)) {
  const double patience = 2;
  double since = Now();
  for (long last = -1;; pause()) {
    if (progress != last) since = Now();
    last = progress;
    if (Now() - since > patience) Fault("it hangs");
  }
}
static void Spin(void) { SpinFor(0.05); }
static void Sleep(void) { SleepFor(50); }

// ---- setxid ----

static void* SleepForEver(void* unused) {
  for (;;) SleepFor(100000);
  return unused;
}

static void* ChangeUsers(void* unused) {
  for (;;) {
    if (setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1) != 0) Fault("setresgid failed");
    if (++progress % 16 == 0) SleepFor(1);
  }
  return unused;
}

static void Setxid(void) {
  for (int i = 0; i < 3; i++) Start(SleepForEver, NULL, NULL);
  Start(ChangeUsers, NULL, NULL);
  Ready();
  WatchProgress(Sleep);
}

// ---- setxid-waits ----

static volatile int has_changed;

// Holds back the signal for which the other one waits: by the system call, for libc does not let anybody.
static void* AnswerLate(void* unused) {
  const uint64_t setxid = UINT64_C(1) << 32;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &setxid, NULL, sizeof(setxid));
  SpinFor(2);
  syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &setxid, NULL, sizeof(setxid));
  SpinFor(1);
  if (!has_changed) Fault("setresgid does not return");
  for (;;) SpinFor(1);
  return unused;
}

static void SetxidWaits(void) {
  Start(AnswerLate, NULL, NULL);
  SpinFor(0.2);
  Ready();
  if (setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1) != 0) Fault("setresgid failed");
  has_changed = 1;
  for (;;) SpinFor(1);
}

// ---- handler ----

static pthread_t worker;

static void OnSignal(int signal) {
  (void)signal;
  SleepFor(20);
}

static void* Churn(void* unused) {
  for (;;) {
    void* blocks[64];
    for (int i = 0; i < 64; i++) blocks[i] = malloc(2000 + (size_t)i * 16);
    for (int i = 0; i < 64; i++) free(blocks[i]);
    progress++;
  }
  return unused;
}

static void* Interrupt(void* unused) {
  for (;;) {
    SpinFor(0.021);
    pthread_kill(worker, SIGUSR1);
  }
  return unused;
}

static void Handler(void) {
  struct sigaction action = {.sa_handler = OnSignal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  if (pthread_create(&worker, NULL, Churn, NULL) != 0) Fault("no thread");
  Start(Interrupt, NULL, NULL);
  Ready();
  WatchProgress(Spin);
}

// ---- small-stack ----

enum { kStackBytes = 64 << 10, kLeftBytes = 1200 };
static struct {
  char others[128 << 10];
  char stack[kStackBytes];
} memory __attribute__((aligned(4096)));

static void* UseUpStack(void* unused) {
  char here;
  volatile char* used = alloca((size_t)(&here - memory.stack) - kLeftBytes);
  const struct timespec time = {1000, 0};
  *used = 1;
  for (;;) {
    long result = SYS_nanosleep;
    __asm__ volatile("syscall" : "+a"(result) : "D"(&time), "S"(0) : "rcx", "r11", "memory");
  }
  return unused;
}

static void SmallStack(void) {
  memset(memory.others, 0x5a, sizeof(memory.others));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, memory.stack, sizeof(memory.stack));
  Start(UseUpStack, NULL, &attributes);
  SpinFor(0.1);
  Ready();
  for (;;) {
    for (size_t i = 0; i < sizeof(memory.others); i++) {
      if (memory.others[i] != 0x5a) Fault("memory below the stack was written to");
    }
  }
}

// ---- swap ----

static int victim;

static void* SwapForEver(void* unused) {
  for (;;) {
    if (fcntl(victim + 1, F_GETFD) >= 0) dup2(victim, victim + 1);
  }
  return unused;
}

static void Swap(const char* file) {
  victim = open(file, O_RDONLY);
  Start(SwapForEver, NULL, NULL);
  Ready();
  SleepForEver(NULL);
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "setxid") == 0) Setxid();
  if (strcmp(what, "setxid-waits") == 0) SetxidWaits();
  if (strcmp(what, "handler") == 0) Handler();
  if (strcmp(what, "small-stack") == 0) SmallStack();
  if (strcmp(what, "swap") == 0 && argc > 2) Swap(argv[2]);
  return 2;
}
