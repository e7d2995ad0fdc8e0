// Is to be detached when it has no descriptor left, and once more when it has; and gives back, after another attach, a
// block at the address of the one that it gave back last.
#include <sys/resource.h>

#include "attach_self.h"

using namespace attach_self;

static void* stored_before;

int main(int, char** argv) {
  alarm(100);  // a deadlock ends here
  Load(argv);
  stored_before = dlsym(RTLD_DEFAULT, "free");
  Attach();
  void* volatile block = malloc(1033);
  free(block);
  struct rlimit before;
  getrlimit(RLIMIT_NOFILE, &before);
  struct rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  const AttachMailbox& failed = Act(cgoprof::kDetachAction, 0);
  setrlimit(RLIMIT_NOFILE, &before);
  printf("without a descriptor: %s\n", failed.failure);
  const bool hooked = dlsym(RTLD_DEFAULT, "free") != stored_before;
  Detach();
  printf("hooks: %d, then %d\n", hooked, dlsym(RTLD_DEFAULT, "free") != stored_before);
  block = malloc(1033);
  Attach();
  free(block);
  fflush(stdout);
  _exit(0);
}
