// Child processes of one that the library is attached to: their frees are not its own, and each may be attached to.
#include <sys/wait.h>

#include "attach_self.h"

using namespace attach_self;

static void* blocks[101];
static void* own[103];

static int InChild(void (*body)()) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

static void FreeAll() {
  Empty(blocks);
  Fill(own, 3001);
}

// A thread that allocated in the child before sees the attachment after less bytes than this.
static void AttachChild() {
  void* volatile block = malloc(17);
  Attach();
  free(block);
  block = malloc(131101);
  free(block);
  Fill(own, 3011);
  Empty(blocks);
  for (int i = 0; i < 7; i++) free(own[i]);
  Detach();
  Fill(own, 3011);
}

static void DetachChild() {
  const AttachMailbox& mailbox = Act(cgoprof::kDetachAction, 0);
  if (strcmp(mailbox.failure, "not-attached") != 0) _exit(1);
}

int main(int, char** argv) {
  Load(argv);
  Attach();
  Fill(blocks, 2003);
  if (InChild(&FreeAll) != 0 || InChild(&AttachChild) != 0 || InChild(&DetachChild) != 0) return 1;
  Fill(own, 3019);
  Detach();
  _exit(0);
}
