// Attaches the library to a process that runs, or detaches it: finds a thread that may be borrowed, has it start
// another one at one of the library's two functions, gives it back, and waits for what the new one reports.
//
//   look (nothing is stopped) → stop one parked thread → is it still at a safe point? → mmap, memfd_create, mmap,
//   pthread_create → let it go → wait for the mailbox (shared/attach_mailbox.h)
//
// The target goes on whatever happens to this process at any of these steps; see BorrowedThread. What a killed attach
// may leave behind in it is the area (some 260 KiB of addresses, a few pages of memory) and a descriptor of the
// library's file.
#ifndef CGOPROF_ADDON_INJECTOR_H_
#define CGOPROF_ADDON_INJECTOR_H_

#include <stdint.h>
#include <sys/types.h>

#include <chrono>
#include <string>

#include "addon/native_error.h"
#include "shared/attach_mailbox.h"

namespace cgoprof {

// AttachRequest of src/native-binding.ts.
struct AttachRequest {
  pid_t pid = 0;
  AttachAction action = kAttachAction;
  std::string library_path;
  uint64_t rate = 0;
  std::string directory;
  std::chrono::milliseconds deadline{0};
  bool trust_seccomp = false;
  bool skip_account = false;
};

// AttachResult of src/native-binding.ts.
struct AttachResult {
  NativeError error;  // an AttachErrorCode, and its detail as message
  std::string segment;
  uint64_t stopped_ns = 0;
  pid_t thread_id = 0;
  uint32_t attempts = 0;
  uint64_t patched = 0;
  uint64_t account_ns = 0;
};

// Keeps no state. Makes a thread of its own for the time that it takes, because the kernel lets go what a thread traces
// when that thread ends.
AttachResult AttachTo(const AttachRequest& request);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_INJECTOR_H_
