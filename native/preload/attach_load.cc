// AttachLoad of shared/attach_mailbox.h: loads the library into a process that runs already, on a thread that was
// started for that.
//
// Its code is mapped from the library's file alone, before the library is loaded: nothing here may need a relocation,
// or anything but the mailbox and the kernel. The file is compiled so that its calls in the end are jumps, which leave
// no frame of its own behind: where they lead, this code may be unmapped. attach_load_test.cc checks the section.
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "preload/raw_syscall.h"
#include "shared/attach_mailbox.h"

namespace cgoprof {
namespace {

// Beginnings of functions of the target's libc.
using Dlopen = void* (*)(const char* path, int flags);
using Dlerror = const char* (*)();
using PthreadDetach = int (*)(void* thread);
using Munmap = void* (*)(uint64_t start, uint64_t bytes);
using Run = void* (*)(AttachMailbox* mailbox);

// What a link map, which is what a handle is, begins with: the load bias.
using Handle = const uint64_t*;

template <typename Function>
Function At(uint64_t address) {
  return reinterpret_cast<Function>(address);
}

// "loader: " and what the loader says.
[[gnu::always_inline]] inline void ExplainFailure(AttachMailbox* mailbox) {
  constexpr uint64_t kLoader = 0x203a726564616f6c;  // these letters, little-endian
  volatile char* out = mailbox->failure;            // volatile: no loop becomes a call of memcpy
  *reinterpret_cast<volatile uint64_t*>(mailbox->failure) = kLoader;
  out += sizeof(kLoader);
  const char* words = mailbox->dlerror != 0 ? At<Dlerror>(mailbox->dlerror)() : nullptr;
  const volatile char* const end = mailbox->failure + sizeof(mailbox->failure) - 1;
  for (; words != nullptr && *words != '\0' && out < end; words++) *out++ = *words;
  *out = '\0';
}

[[gnu::always_inline]] inline void AwaitRelease(const AttachMailbox* mailbox) {
  constexpr int kMostNaps = 5000;
  for (int i = 0; i < kMostNaps && __atomic_load_n(&mailbox->released, __ATOMIC_ACQUIRE) == 0; i++) {
    const struct timespec nap = {0, 1000000};
    RawSyscall(SYS_nanosleep, PointerArg(&nap), 0);
  }
}

}  // namespace
}  // namespace cgoprof

using namespace cgoprof;

extern "C" __attribute__((visibility("default"), section("cgoprof_attach_load"), aligned(4096))) void*
CGOPROF_ATTACH_LOAD(AttachMailbox* mailbox) {
  __atomic_store_n(&mailbox->progress, kMailRunning, __ATOMIC_RELEASE);
  const int flags = static_cast<int>(mailbox->dlopen_flags);
  const Handle library = static_cast<Handle>(At<Dlopen>(mailbox->dlopen)(mailbox->library_path, flags));
  if (library != nullptr) return At<Run>(*library + mailbox->run_offset)(mailbox);

  ExplainFailure(mailbox);
  At<PthreadDetach>(mailbox->pthread_detach)(__builtin_thread_pointer());
  if (mailbox->library_fd >= 0) RawSyscall(SYS_close, mailbox->library_fd);
  __atomic_store_n(&mailbox->progress, kMailFailed, __ATOMIC_RELEASE);
  AwaitRelease(mailbox);
  const Munmap munmap = At<Munmap>(mailbox->munmap);
  const uint64_t load_code = mailbox->load_code, load_code_bytes = mailbox->load_code_bytes;
  if (mailbox->released != 0)
    RawSyscall(SYS_munmap, static_cast<long>(mailbox->area), static_cast<long>(mailbox->area_bytes));
  // Back into libc: that returns to the thread's end.
  return munmap(load_code, load_code_bytes);
}
