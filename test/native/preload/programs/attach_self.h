// Attaches the library to the program itself: loads it, and calls AttachRun as a thread of the tool's would. The
// library is the program's first argument; segments go to CGOPROF_DIR.
#ifndef CGOPROF_TEST_PRELOAD_ATTACH_SELF_H_
#define CGOPROF_TEST_PRELOAD_ATTACH_SELF_H_

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/attach_mailbox.h"

namespace attach_self {

using cgoprof::AttachMailbox;
using Run = void* (*)(AttachMailbox* mailbox);

inline Run run;

inline void Load(char** argv) {
  void* const library = argv[1] != nullptr ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
  run = library != nullptr ? reinterpret_cast<Run>(dlsym(library, cgoprof::kAttachRunName)) : nullptr;
  if (run != nullptr) return;
  puts("not loaded");
  _exit(99);
}

// Mapped, as the tool's is, and not allocated. `released`: nobody waits for the thread.
inline AttachMailbox* NewMailbox(cgoprof::AttachAction action, uint64_t rate) {
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  void* const page = mmap(nullptr, sizeof(AttachMailbox), kProtection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  AttachMailbox* const mailbox = static_cast<AttachMailbox*>(page);
  mailbox->version = cgoprof::kMailboxVersion;
  mailbox->action = action;
  mailbox->rate = rate;
  mailbox->library_fd = -1;
  mailbox->released = 1;
  const char* const directory = getenv("CGOPROF_DIR");
  if (directory != nullptr) strncpy(mailbox->directory, directory, sizeof(mailbox->directory) - 1);
  return mailbox;
}

inline bool IsDone(const AttachMailbox& mailbox) {
  return __atomic_load_n(&mailbox.progress, __ATOMIC_ACQUIRE) == cgoprof::kMailDone;
}

// In this thread. The mailbox as it was left, to be read as long as the process lives.
inline const AttachMailbox& Act(cgoprof::AttachAction action, uint64_t rate) {
  AttachMailbox* const mailbox = NewMailbox(action, rate);
  run(mailbox);
  return *mailbox;
}

// What must succeed.
inline void ActOrExit(cgoprof::AttachAction action, uint64_t rate) {
  const AttachMailbox& mailbox = Act(action, rate);
  if (IsDone(mailbox)) return;
  puts(mailbox.failure);
  _exit(98);
}
inline void Attach(uint64_t rate = 1) { ActOrExit(cgoprof::kAttachAction, rate); }
inline void Detach() { ActOrExit(cgoprof::kDetachAction, 0); }

// Allocates blocks of `size` bytes into `blocks`.
template <size_t kCount>
__attribute__((noinline)) void Fill(void* (&blocks)[kCount], size_t size) {
  for (void*& block : blocks) block = malloc(size);
}
template <size_t kCount>
__attribute__((noinline)) void Empty(void* (&blocks)[kCount]) {
  for (void*& block : blocks) free(block);
}

}  // namespace attach_self

#endif  // CGOPROF_TEST_PRELOAD_ATTACH_SELF_H_
