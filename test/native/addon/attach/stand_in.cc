// Stands in for libcgoprof.so: it is brought and started like that, and does nothing but report.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "shared/attach_mailbox.h"

using cgoprof::AttachMailbox;

namespace {

void Report(AttachMailbox* mailbox, cgoprof::AttachProgress progress) {
  __atomic_store_n(&mailbox->progress, progress, __ATOMIC_RELEASE);
}

void DetachItself(const AttachMailbox* mailbox) {
  reinterpret_cast<int (*)(void*)>(mailbox->pthread_detach)(__builtin_thread_pointer());
}

}  // namespace

extern "C" __attribute__((visibility("default"), section("cgoprof_attach_load"), noinline)) void* CGOPROF_ATTACH_LOAD(
    void* argument) {
  AttachMailbox* const mailbox = static_cast<AttachMailbox*>(argument);
  Report(mailbox, cgoprof::kMailRunning);
  using Open = uint64_t* (*)(const char*, int);
  uint64_t* const library =
      reinterpret_cast<Open>(mailbox->dlopen)(mailbox->library_path, static_cast<int>(mailbox->dlopen_flags));
  if (library == nullptr) return nullptr;
  return reinterpret_cast<void* (*)(void*)>(*library + mailbox->run_offset)(argument);
}

// directory: "fail" reports a failure, "hang" nothing.
extern "C" __attribute__((visibility("default"))) void* CGOPROF_ATTACH_RUN(void* argument) {
  AttachMailbox* const mailbox = static_cast<AttachMailbox*>(argument);
  DetachItself(mailbox);
  if (mailbox->library_fd >= 0) close(mailbox->library_fd);
  snprintf(mailbox->segment, sizeof(mailbox->segment), "rate %llu, action %u",
           static_cast<unsigned long long>(mailbox->rate), mailbox->action);
  mailbox->patched = 7;
  if (strcmp(mailbox->directory, "fail") == 0) snprintf(mailbox->failure, sizeof(mailbox->failure), "no-room");
  if (strcmp(mailbox->directory, "hang") != 0)
    Report(mailbox, mailbox->failure[0] != '\0' ? cgoprof::kMailFailed : cgoprof::kMailDone);
  constexpr timespec kNap = {0, 1000000};
  for (int i = 0; i < 5000 && __atomic_load_n(&mailbox->released, __ATOMIC_ACQUIRE) == 0; i++)
    nanosleep(&kNap, nullptr);
  const AttachMailbox last = *mailbox;
  if (last.load_code != 0) munmap(reinterpret_cast<void*>(last.load_code), last.load_code_bytes);
  if (last.released != 0) munmap(reinterpret_cast<void*>(last.area), last.area_bytes);
  return nullptr;
}
