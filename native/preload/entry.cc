// What happens when the library is loaded: decide whether this process is the one to profile, and if so start.
//
// A process that was not chosen keeps its environment, so that a shell, an entrypoint script or a wrapper passes the
// library on to the service it starts; the hooks stay in place and do nothing but pass on. A process that is profiled
// takes the library out of its environment, so that its own children run bare.
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/allocator_functions.h"
#include "preload/elf_sections.h"
#include "preload/environment.h"
#include "preload/prune.h"
#include "preload/raw_syscall.h"
#include "preload/recorder.h"
#include "preload/start_failure.h"
#include "preload/text.h"
#include "preload/unseen_malloc.h"

extern "C" char** environ;

namespace cgoprof {
namespace {

bool keep_segment;

// Looks for the note with which the Go linker marks every program ("Go", type 4: the Go build id).
bool IsGoNote(uintptr_t notes, uint64_t length) {
  constexpr uint32_t kGoBuildId = 4;
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) + 4 <= length;) {
    const Elf64_Nhdr* note = reinterpret_cast<const Elf64_Nhdr*>(notes + at);
    const uint64_t name = at + sizeof(*note);
    if (note->n_type == kGoBuildId && note->n_namesz == 4 &&
        memcmp(reinterpret_cast<void*>(notes + name), "Go\0", 4) == 0) {
      return true;
    }
    at = name + ((uint64_t{note->n_namesz} + 3) & ~uint64_t{3}) + ((uint64_t{note->n_descsz} + 3) & ~uint64_t{3});
  }
  return false;
}

bool HasGoNote() {
  const Elf64_Phdr* headers = reinterpret_cast<const Elf64_Phdr*>(getauxval(AT_PHDR));
  const uint64_t count = getauxval(AT_PHNUM);
  if (headers == nullptr) return false;
  uintptr_t bias = 0;
  for (uint64_t i = 0; i < count; i++) {
    if (headers[i].p_type == PT_PHDR) bias = reinterpret_cast<uintptr_t>(headers) - headers[i].p_vaddr;
  }
  for (uint64_t i = 0; i < count; i++) {
    if (headers[i].p_type == PT_NOTE && IsGoNote(headers[i].p_vaddr + bias, headers[i].p_memsz)) return true;
  }
  return false;
}

// -ldflags=-buildid= takes the note away; what `go version` reads stays.
bool HasGoBuildInfo() {
  SectionQuery query = {".go.buildinfo", 0, 0};
  FindSections(&query, 1);
  return query.bytes != 0;
}

bool IsNamed(const char* name) {
  char path[kMaxPathBytes];
  const long length =
      RawSyscall(SYS_readlinkat, AT_FDCWD, PointerArg("/proc/self/exe"), PointerArg(path), sizeof(path) - 1);
  if (IsError(length)) return false;
  path[length] = '\0';
  return strcmp(BaseName(path), name) == 0;
}

bool IsGoProgram() { return HasGoNote() || HasGoBuildInfo(); }

bool IsChosen(const Settings& settings, bool is_go) {
  if (strcmp(settings.profile, "all") == 0) return true;
  if (strcmp(settings.profile, "go") == 0) return is_go;
  return IsNamed(settings.profile);
}

__attribute__((constructor)) void Load() {
  Settings settings;
  if (getauxval(AT_SECURE) != 0 || !ReadSettings(environ, &settings)) return;
  const bool is_go = IsGoProgram();
  if (!IsChosen(settings, is_go)) return;
  keep_segment = settings.keep;
  if (!settings.follow) LeaveEnvironment(environ, is_go ? Removal::kBlank : Removal::kCompact);
  if (const char* why = WhyMallocIsUnseen()) return LeaveStartFailure(why);
  // A run that keeps its segments makes one profile of all of them.
  const uint64_t own_run = settings.keep ? settings.run_id : 0;
  const uint64_t lost = PruneDeadSegments(settings.directory, own_run);
  SegmentConfig config = {settings.directory, settings.rate, settings.run_id, CapacityFor(settings.rate), lost};
  bool started;
  do {
    started = StartRecorder(config, is_go);
  } while (!started && PruneOldestIfFull(settings.directory, own_run, &config.pruned_segments));
  if (started)
    HookAllocatorFunctions();
  else
    LeaveStartFailure(RecorderFailure());
}

__attribute__((destructor)) void Unload() { FinishRecorder(keep_segment); }

}  // namespace
}  // namespace cgoprof
