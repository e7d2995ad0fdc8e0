// See modules.h.
#include "preload/modules.h"

#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "preload/fork_wiped.h"
#include "preload/raw_syscall.h"
#include "preload/text.h"

namespace cgoprof {
namespace {

uint32_t HashPath(const char* path) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (; *path != '\0'; path++) hash = (hash ^ static_cast<uint8_t>(*path)) * 16777619u;
  return hash;
}

uint64_t CoarseMilliseconds() {
  struct timespec now = {};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

bool IsVdso(const Mapping& mapping) { return strcmp(mapping.path, "[vdso]") == 0; }

// Scratch space for maps lines; guarded by ModuleTable::refreshing_.
char maps_buffer[8192];

}  // namespace

// State of one pass over the mappings.
struct ModuleTable::Scan {
  ModuleTable* table;
  bool at_start;
  ProcessMemory memory;
  // The image whose first mapping was met last, and whether an executable mapping of it was met too: only then is it
  // loaded, not just open for reading.
  Mapping first;
  char path[kMaxPathBytes];
  bool pending;
};

void ModuleTable::Visit(const Mapping& mapping, void* argument) {
  Scan* scan = static_cast<Scan*>(argument);
  if (mapping.offset == 0 && mapping.readable && (mapping.inode != 0 || IsVdso(mapping))) {
    scan->first = mapping;
    scan->pending = TextBuilder(scan->path, sizeof(scan->path)).Add(mapping.path).ok();
    scan->first.path = scan->path;
  }
  if (!scan->pending || !mapping.executable || mapping.inode != scan->first.inode) return;
  scan->pending = false;
  ModuleTable* table = scan->table;
  const uint32_t hash = HashPath(scan->first.path);
  for (uint32_t i = 0; i < table->count_; i++) {
    LoadedModule* module = &table->modules_[i];
    if (module->start == scan->first.start && module->inode == scan->first.inode && module->path_hash == hash) {
      module->seen = true;
      __atomic_store_n(&module->alive, 1, __ATOMIC_RELEASE);
      return;
    }
  }
  ElfImage image;
  if (ReadElfImage(scan->memory, scan->first.start, &image)) table->Add(scan->first, image, scan->at_start);
}

uint32_t ModuleTable::AddToSegment(const Mapping& mapping, const ElfImage& image, bool is_executable) {
  const size_t path_bytes = strlen(mapping.path);
  const uint64_t path = segment_->AddString(mapping.path, path_bytes);
  const uint64_t build_id = segment_->AddString(image.build_id, image.build_id_bytes);
  const uint64_t index = segment_->Allocate(kModules, 1);
  if (path == kNoRecord || build_id == kNoRecord || index == kNoRecord) {
    segment_->Count(kLostModules);
    return 0;
  }
  Module* module = segment_->At<Module>(kModules, index);
  module->image_start = image.start;
  module->image_end = image.end;
  module->bias = image.bias;
  module->text_start = image.text_start;
  module->text_end = image.text_end;
  module->text_offset = image.text_offset;
  module->path = static_cast<uint32_t>(path);
  module->path_bytes = static_cast<uint32_t>(path_bytes);
  module->build_id = static_cast<uint32_t>(build_id);
  module->build_id_bytes = image.build_id_bytes;
  if (is_executable) module->flags |= kModuleExecutable;
  if (IsVdso(mapping)) module->flags |= kModuleVdso;
  __atomic_store_n(&module->published, 1, __ATOMIC_RELEASE);
  return static_cast<uint32_t>(index + 1);
}

void ModuleTable::Add(const Mapping& mapping, const ElfImage& image, bool at_start) {
  if (count_ == kCapacity) {
    segment_->Count(kLostModules);
    return;
  }
  LoadedModule* module = &modules_[count_];
  module->start = image.start;
  module->end = image.end;
  module->bias = image.bias;
  module->cfi = {image.eh_frame_hdr, image.cfi_start, image.cfi_end};
  module->from_start = at_start;
  module->is_executable = program_headers_ >= image.start && program_headers_ < image.end;
  module->inode = mapping.inode;
  module->path_hash = HashPath(mapping.path);
  module->alive = 1;
  module->seen = true;
  module->segment_id = AddToSegment(mapping, image, module->is_executable);
  __atomic_store_n(&count_, count_ + 1, __ATOMIC_RELEASE);
}

// Threads take turns. One that waited still looks itself: the other may have begun before the library that this thread
// came from was loaded.
bool ModuleTable::LockRefresh() {
  constexpr int kMostYields = 1000;
  for (int i = 0; i < kMostYields; i++) {
    if (__atomic_exchange_n(&refreshing_, 1, __ATOMIC_ACQUIRE) == 0) return true;
    RawSyscall(SYS_sched_yield);
  }
  return false;
}

void ModuleTable::UnlockRefresh() { __atomic_store_n(&refreshing_, 0, __ATOMIC_RELEASE); }

void ModuleTable::RefreshStale() {
  if (!LockRefresh()) return;
  if (__atomic_load_n(&stale_, __ATOMIC_ACQUIRE) != 0) Refresh(false);
  UnlockRefresh();
}

void ModuleTable::Refresh(bool at_start) {
  __atomic_store_n(&stale_, 0, __ATOMIC_RELEASE);
  for (uint32_t i = 0; i < count_; i++) modules_[i].seen = false;
  Scan scan = {};
  scan.table = this;
  scan.at_start = at_start;
  if (!ForEachMapping(maps_buffer, sizeof(maps_buffer), &Visit, &scan)) return;
  for (uintptr_t& page : unknown_pages_) __atomic_store_n(&page, 0, __ATOMIC_RELAXED);
  for (uint32_t i = 0; i < count_; i++) {
    LoadedModule* module = &modules_[i];
    if (module->seen || module->alive == 0) continue;
    __atomic_store_n(&module->alive, 0, __ATOMIC_RELEASE);
    __atomic_fetch_add(&generation_, 1, __ATOMIC_ACQ_REL);
  }
}

void ModuleTable::Init(SegmentWriter* segment) {
  segment_ = segment;
  program_headers_ = getauxval(AT_PHDR);
  Refresh(true);
}

const LoadedModule* ModuleTable::Search(uintptr_t pc) const {
  // Newest first: an address range that was reused belongs to the newer image.
  for (uint32_t i = __atomic_load_n(&count_, __ATOMIC_ACQUIRE); i > 0; i--) {
    const LoadedModule* module = &modules_[i - 1];
    if (pc >= module->start && pc < module->end && __atomic_load_n(&module->alive, __ATOMIC_ACQUIRE) != 0)
      return module;
  }
  return nullptr;
}

// Whether a PC in no known image is worth a look at the mappings: not where we looked in vain before, unless there was
// little to do lately.
bool ModuleTable::MayLookAgain(uintptr_t pc) {
  constexpr uint32_t kMostTokens = 100;
  const uint64_t now = CoarseMilliseconds();
  // Threads may spend a token twice or top up twice; that is all that can go wrong here.
  if (now - __atomic_load_n(&tokens_time_ms_, __ATOMIC_RELAXED) >= 1000) {
    __atomic_store_n(&tokens_time_ms_, now, __ATOMIC_RELAXED);
    __atomic_store_n(&tokens_, kMostTokens, __ATOMIC_RELAXED);
  } else if (__atomic_load_n(UnknownPageSlot(pc), __ATOMIC_RELAXED) == pc >> 12) {
    return false;
  }
  const uint32_t left = __atomic_load_n(&tokens_, __ATOMIC_RELAXED);
  if (left == 0) return false;
  __atomic_store_n(&tokens_, left - 1, __ATOMIC_RELAXED);
  return true;
}

const LoadedModule* ModuleTable::Find(uintptr_t pc) {
  const LoadedModule* module = Search(pc);
  if (module != nullptr || !MayLookAgain(pc)) return module;
  if (!LockRefresh()) return nullptr;
  Refresh(false);
  UnlockRefresh();
  module = Search(pc);
  if (module == nullptr) __atomic_store_n(UnknownPageSlot(pc), pc >> 12, __ATOMIC_RELAXED);
  return module;
}

const LoadedModule* ModuleTable::executable() const {
  for (uint32_t i = 0; i < count_; i++) {
    if (modules_[i].is_executable) return &modules_[i];
  }
  return nullptr;
}

void ModuleTable::MarkExecutableAsGo() {
  const LoadedModule* program = executable();
  if (program == nullptr || program->segment_id == 0) return;
  segment_->At<Module>(kModules, program->segment_id - 1)->flags |= kModuleGo;
}

}  // namespace cgoprof
