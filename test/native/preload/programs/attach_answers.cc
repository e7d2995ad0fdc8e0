// Says how the library answers what a tool may ask at the wrong time.
#include <link.h>
#include <sched.h>

#include "attach_self.h"

using namespace attach_self;
using cgoprof::kAttachAction;
using cgoprof::kDetachAction;

static void Say(const char* what, const AttachMailbox& mailbox) {
  const bool changed = mailbox.patched != 0;
  printf("%s: %s%s\n", what, IsDone(mailbox) ? "done" : mailbox.failure, changed ? ", places changed" : "");
}

static void SayToVersion(uint32_t version) {
  AttachMailbox* const mailbox = NewMailbox(kAttachAction, 1);
  mailbox->version = version;
  run(mailbox);
  Say("another version", *mailbox);
}

static void SayToCancelled() {
  AttachMailbox* const mailbox = NewMailbox(kAttachAction, 1);
  mailbox->cancelled = 1;
  run(mailbox);
  Say("cancelled", *mailbox);
}

static void SayToDirectory(const char* directory) {
  AttachMailbox* const mailbox = NewMailbox(kAttachAction, 1);
  strcpy(mailbox->directory, directory);
  run(mailbox);
  Say("no directory", *mailbox);
}

static void* RunMailbox(void* mailbox) { return run(static_cast<AttachMailbox*>(mailbox)); }

// Another tool's thread has to wait, here for the loader.
static int AskTwice(struct dl_phdr_info*, size_t, void*) {
  AttachMailbox* const first = NewMailbox(kAttachAction, 0);
  pthread_t thread;
  pthread_create(&thread, nullptr, &RunMailbox, first);
  pthread_detach(thread);
  while (__atomic_load_n(&first->progress, __ATOMIC_ACQUIRE) != cgoprof::kMailLoaded) sched_yield();
  AttachMailbox* second;
  do {  // until the first has begun
    second = NewMailbox(kDetachAction, 0);
    run(second);
  } while (strcmp(second->failure, "busy") != 0);
  Say("while another acts", *second);
  return 1;
}

int main(int argc, char** argv) {
  alarm(100);  // a deadlock ends here
  Load(argv);
  if (argc > 2) {
    Say("once", Act(kAttachAction, 1));
    return 0;
  }
  Say("detach", Act(kDetachAction, 0));
  SayToVersion(2);
  SayToCancelled();
  SayToDirectory("/proc/nonexistent");
  Say("once", Act(kAttachAction, 4999));
  Say("twice", Act(kAttachAction, 4999));
  Say("any rate", Act(kAttachAction, 0));
  Say("another rate", Act(kAttachAction, 5003));
  Say("detach", Act(kDetachAction, 0));
  Say("detach twice", Act(kDetachAction, 0));
  Say("again at another rate", Act(kAttachAction, 5003));
  dl_iterate_phdr(&AskTwice, nullptr);
  fflush(stdout);
  _exit(0);
}
