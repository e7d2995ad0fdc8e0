// What happens when the library is loaded: decide whether this process is the one to profile, and if so start.
//
// Loaded into a process that runs already, it does nothing by itself (attach_run.cc).
//
// A process that was not chosen keeps its environment, so that a shell, an entrypoint script or a wrapper passes the
// library on to the service it starts; the hooks stay in place and do nothing but pass on. A process that is profiled
// takes the library out of its environment, so that its own children run bare.
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/allocator_functions.h"
#include "preload/attach_run.h"
#include "preload/environment.h"
#include "preload/fork_wiped.h"
#include "preload/go_program.h"
#include "preload/raw_syscall.h"
#include "preload/real_alloc.h"
#include "preload/recorder.h"
#include "preload/request_file.h"
#include "preload/start.h"
#include "preload/start_failure.h"
#include "preload/text.h"
#include "preload/unseen_malloc.h"

extern "C" char** environ;

namespace cgoprof {
namespace {

bool keep_segment;

bool IsNamed(const char* name) {
  char path[kMaxPathBytes];
  const long length =
      RawSyscall(SYS_readlinkat, AT_FDCWD, PointerArg("/proc/self/exe"), PointerArg(path), sizeof(path) - 1);
  if (IsError(length)) return false;
  path[length] = '\0';
  return strcmp(BaseName(path), name) == 0;
}

bool IsChosen(const Settings& settings, bool is_go) {
  if (strcmp(settings.profile, "all") == 0) return true;
  if (strcmp(settings.profile, "go") == 0) return is_go;
  return IsNamed(settings.profile);
}

__attribute__((constructor)) void Load() {
  // Before anything is stored there that a child must not inherit. Where it fails PrepareRecorder says so.
  WipeOnFork(&fork_wiped);
  NoteHowLoaded();
  if (IsAttached()) NoteEarlierCopy();
  Settings settings;
  if (IsAttached() || getauxval(AT_SECURE) != 0 || !ReadSettings(environ, &settings)) return;
  AnswerRequests(settings.directory);
  const bool is_go = IsGoProgram();
  if (!IsChosen(settings, is_go)) return;
  keep_segment = settings.keep;
  if (!settings.follow) LeaveEnvironment(environ, is_go ? Removal::kBlank : Removal::kCompact);
  if (const char* why = WhyMallocIsUnseen()) return LeaveStartFailure(why);
  if (!PrepareInDirectory({settings.directory, settings.rate, settings.run_id, settings.keep}))
    return LeaveStartFailure(RecorderFailure());
  BeginRecording();
  HookAllocatorFunctions();
}

__attribute__((destructor)) void Unload() { FinishRecorder(keep_segment); }

}  // namespace
}  // namespace cgoprof
