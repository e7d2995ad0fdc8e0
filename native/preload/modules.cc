// See modules.h.
#include "preload/modules.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/clock.h"
#include "preload/raw_syscall.h"
#include "preload/signals_held_back.h"
#include "preload/text.h"

namespace cgoprof {
namespace {

uint32_t HashPath(const char* path) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (; *path != '\0'; path++) hash = (hash ^ static_cast<uint8_t>(*path)) * 16777619u;
  return hash;
}

// Never 0; wraps around.
uint32_t Milliseconds() { return static_cast<uint32_t>(ClockNanoseconds(CLOCK_MONOTONIC_COARSE) / 1000000) | 1; }

bool IsVdso(const Mapping& mapping) { return strcmp(mapping.path, "[vdso]") == 0; }

}  // namespace

// State of one pass over the mappings. There is one, guarded by ModuleTable::refreshing_: hooks run on stacks that may
// be too small for it.
struct ModuleTable::Scan {
  ModuleTable* table;
  ProcessMemory memory;
  char lines[8192];
  ElfScratch scratch;
  ElfImage image;
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
    scan->pending = true;
    TextBuilder(scan->path, sizeof(scan->path)).Add(mapping.path);  // a longer path is cut off
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
  if (ReadElfImage(scan->memory, scan->first.start, &scan->scratch, &scan->image)) {
    table->Add(scan->first, scan->image);
  }
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

void ModuleTable::Add(const Mapping& mapping, const ElfImage& image) {
  if (count_ == kCapacity) {
    segment_->Count(kLostModules);
    return;
  }
  LoadedModule* module = &modules_[count_];
  module->start = image.start;
  module->end = image.end;
  module->bias = image.bias;
  module->cfi = {image.eh_frame_hdr, image.cfi_start, image.cfi_end};
  module->is_executable = program_headers_ >= image.start && program_headers_ < image.end;
  module->inode = mapping.inode;
  module->path_hash = HashPath(mapping.path);
  module->alive = 1;
  module->seen = true;
  module->segment_id = AddToSegment(mapping, image, module->is_executable);
  __atomic_store_n(&count_, count_ + 1, __ATOMIC_RELEASE);
}

// Threads take turns. One that waited still looks itself: the other may have begun before the library that this thread
// came from was loaded. The lock word says since when the lock is held. Nobody waits for a holder that is overdue: it
// will not come back (a vfork child that was killed; a handler that jumped out at one of the signals let through).
bool ModuleTable::LockRefresh() {
  constexpr int kMostNaps = 1000;
  constexpr struct timespec kNap = {0, 1000000};
  constexpr uint32_t kOverdueMilliseconds = 1000;
  for (int i = 0; i < kMostNaps; i++) {
    const uint32_t now = Milliseconds();
    uint32_t since = 0;
    if (__atomic_compare_exchange_n(&refreshing_, &since, now, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return true;
    // The time once more: the holder may be younger than `now`.
    if (Milliseconds() - since > kOverdueMilliseconds) return false;
    RawSyscall(SYS_futex, PointerArg(&refreshing_), FUTEX_WAIT_PRIVATE, since, PointerArg(&kNap));
  }
  return false;
}

void ModuleTable::UnlockRefresh() {
  __atomic_store_n(&refreshing_, 0, __ATOMIC_RELEASE);
  RawSyscall(SYS_futex, PointerArg(&refreshing_), FUTEX_WAKE_PRIVATE, 1);
}

void ModuleTable::RefreshStale() {
  const SignalsHeldBack held_back;
  if (!LockRefresh()) return;
  if (IsStale()) {
    const uint32_t unloads = __atomic_load_n(&unloads_, __ATOMIC_ACQUIRE);
    // A library may also have been replaced by another at the same place.
    __atomic_fetch_add(&generation_, 1, __ATOMIC_ACQ_REL);
    // Until the look is over others wait for it: in the meantime they would take the new library for the old one.
    if (Refresh()) __atomic_store_n(&unloads_looked_, unloads, __ATOMIC_RELEASE);
  }
  UnlockRefresh();
}

bool ModuleTable::Refresh() {
  static Scan scan;
  for (uint32_t i = 0; i < count_; i++) modules_[i].seen = false;
  scan.table = this;
  scan.pending = false;
  scan.memory.Open();
  const bool listed = ForEachMapping(scan.lines, sizeof(scan.lines), &Visit, &scan);
  scan.memory.Close();
  if (!listed) return false;
  for (uint32_t i = 0; i < count_; i++) {
    LoadedModule* module = &modules_[i];
    // The program itself stays, whatever it maps over its own pages.
    if (module->seen || module->alive == 0 || module->is_executable) continue;
    __atomic_store_n(&module->alive, 0, __ATOMIC_RELEASE);
    __atomic_fetch_add(&generation_, 1, __ATOMIC_ACQ_REL);
  }
  return true;
}

void ModuleTable::Init(SegmentWriter* segment) {
  segment_ = segment;
  program_headers_ = getauxval(AT_PHDR);
  Refresh();
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

const LoadedModule* ModuleTable::Find(uintptr_t pc) {
  const LoadedModule* module = Search(pc);
  if (module != nullptr) return module;
  // Looking in vain may take at most a hundredth of the time: code that belongs to no image (a JIT compiler's) is met
  // as often as it allocates.
  constexpr uint64_t kPause = 99;
  if (ClockNanoseconds(CLOCK_MONOTONIC) < __atomic_load_n(&next_look_ns_, __ATOMIC_RELAXED)) return nullptr;
  const SignalsHeldBack held_back;
  if (!LockRefresh()) return nullptr;
  const uint64_t start = ClockNanoseconds(CLOCK_MONOTONIC);
  module = Search(pc);
  if (module == nullptr) {
    Refresh();
    module = Search(pc);
  }
  UnlockRefresh();
  if (module == nullptr) {
    const uint64_t end = ClockNanoseconds(CLOCK_MONOTONIC);
    __atomic_store_n(&next_look_ns_, end + (end - start) * kPause, __ATOMIC_RELAXED);
  }
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
