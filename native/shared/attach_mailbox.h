// The mailbox: a page of the target's memory through which the tool tells the library, in a thread that it had started
// there, what to do, and learns what came of it.
//
// The tool (native/addon/injector.cc) maps it, fills it, and starts a thread at one of the two functions below. From
// then on the thread alone goes on; the tool looks at `progress` now and then, and may be gone at any time.
//
//   AttachLoad    where the library is not loaded yet. Its code lies in pages of the library's file of its own, which
//   the
//                 tool maps by themselves; it loads the library and goes on in AttachRun.
//   AttachRun     where it is loaded.
//
// Both are exported by the library under names that carry kMailboxVersion: the library in the target may be an older
// one than the tool's.
#ifndef CGOPROF_SHARED_ATTACH_MAILBOX_H_
#define CGOPROF_SHARED_ATTACH_MAILBOX_H_

#include <stdint.h>

namespace cgoprof {

#define CGOPROF_ATTACH_LOAD cgoprof_attach_load_v1
#define CGOPROF_ATTACH_RUN cgoprof_attach_run_v1
inline constexpr char kAttachLoadName[] = "cgoprof_attach_load_v1";
inline constexpr char kAttachRunName[] = "cgoprof_attach_run_v1";
// The section of the library's file that AttachLoad lies in, alone.
inline constexpr char kAttachLoadSection[] = "cgoprof_attach_load";

inline constexpr uint32_t kMailboxVersion = 1;

enum AttachAction : uint32_t {
  kAttachAction = 1,  // puts the hooks in and records
  kDetachAction = 2,  // pauses and takes the hooks out
};

enum AttachFlags : uint32_t {
  // Leave the allocator alone: it holds its locks while it counts what is in use, for long where there is much that is
  // free in between.
  kSkipAccount = 1,
};

enum AttachProgress : uint32_t {
  kMailPosted = 0,
  kMailRunning = 1,  // the thread runs; it may be waiting for the loader's lock
  kMailLoaded = 2,   // the library is loaded, and at work
  kMailDone = 3,     // `segment` says where the segment lies; kAttachAction: recording
  kMailFailed = 4,   // `failure` says why; the process is as it was, but that the library may be loaded
};

struct AttachMailbox {
  // Written by the tool before the thread starts.
  uint32_t version;     // kMailboxVersion
  uint32_t action;      // AttachAction
  uint64_t rate;        // mean bytes between samples; 0: the library's default, or what the segment has
  char directory[512];  // of the segment; "": the default

  // For AttachLoad; addresses of functions of the target's libc.
  char library_path[64];  // as the target sees it, NUL-terminated
  int32_t library_fd;     // to be closed once the library is loaded; -1: none
  uint32_t flags;         // AttachFlags
  uint64_t dlopen_flags;
  uint64_t dlopen;
  uint64_t dlerror;         // 0: there is none
  uint64_t pthread_detach;  // called by the thread for itself
  uint64_t munmap;
  uint64_t run_offset;  // AttachRun's address less the library's load bias

  // What the tool mapped, to be unmapped by the thread at its end. The area holds the mailbox, and the stack on which
  // the thread was started.
  uint64_t area;
  uint64_t area_bytes;
  uint64_t load_code;  // of AttachLoad; 0: not mapped
  uint64_t load_code_bytes;

  // Atomic.
  uint32_t progress;  // AttachProgress; what it promises is written before it
  // Set by the tool. `cancelled`: do nothing that is not begun; looked at once the library is loaded. `released`: the
  // tool has read what it wants, and nobody uses the area any more: the thread waits for it before it unmaps, for a few
  // seconds at most. A tool that was killed leaves it at 0; then the area stays.
  uint32_t cancelled;
  uint32_t released;
  uint32_t reserved;

  // Written by the thread.
  // kMailFailed: "loader: " and dlerror's words; or one word that the tool knows (src/control/refusals.ts).
  char failure[256];
  char segment[600];    // its path, as the target sees it
  uint64_t patched;     // places that lead to hooks (kAttachAction), or do not any more (kDetachAction)
  uint64_t account_ns;  // how long the allocator took to say what is in use
};
static_assert(sizeof(AttachMailbox) <= 4096);

}  // namespace cgoprof

#endif  // CGOPROF_SHARED_ATTACH_MAILBOX_H_
