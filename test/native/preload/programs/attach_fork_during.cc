// Forks children while the library is attached for the first time. Each attaches to itself then: it must be as free to
// do so, and to fork, as any process is. Ends with the number of a child that was not.
#include <sys/wait.h>
#include <time.h>

#include "attach_self.h"

using namespace attach_self;

enum { kChildren = 12, kMegabytes = 16 };

static void* blocks[1009];
static bool go;

static double Now() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

static void BeChild() {
  constexpr double kAWaitForUs = 1;  // what a fork takes that waits in vain
  const double start = Now();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  if (Now() - start > kAWaitForUs) _exit(10);
  const AttachMailbox& mailbox = Act(cgoprof::kAttachAction, 1);
  if (!IsDone(mailbox)) _exit(11);
  Fill(blocks, 5003);
  _exit(Act(cgoprof::kAttachAction, 1).failure[0] == 'r' ? 0 : 12);  // recording
}

static void* ForkChildren(void*) {
  while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE)) {
  }
  for (int i = 0; i < kChildren; i++) {
    if (fork() == 0) BeChild();
  }
  return nullptr;
}

int main(int, char** argv) {
  alarm(100);  // a deadlock ends here
  Load(argv);
  // Forks take a while.
  char* const memory = static_cast<char*>(malloc(kMegabytes << 20));
  memset(memory, 1, kMegabytes << 20);
  pthread_t forks;
  pthread_create(&forks, nullptr, &ForkChildren, nullptr);
  __atomic_store_n(&go, true, __ATOMIC_RELEASE);
  Attach();
  pthread_join(forks, nullptr);
  int status = 0;
  while (wait(&status) > 0) {
    if (status != 0) _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 13);
  }
  _exit(0);
}
