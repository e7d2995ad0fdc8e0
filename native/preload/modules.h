// Which ELF images are loaded, for the unwinder: look up by PC, with no loader lock and no allocation.
//
// The table is filled from /proc/self/maps: at start, when the unwinder meets a PC that lies in no known image (a
// library was loaded since), and after a dlclose. The loader's own list cannot be used from a hook: walking it takes
// the loader's lock, which the interrupted thread may hold, and which another thread may hold while it waits for us.
//
// Entries never move and are never reused for another image. One that was unloaded is marked dead; everything that was
// derived from dead images (the unwinder's rules) is told apart by `generation`.
#ifndef CGOPROF_PRELOAD_MODULES_H_
#define CGOPROF_PRELOAD_MODULES_H_

#include <stdint.h>

#include "preload/cfi.h"
#include "preload/elf_memory.h"
#include "preload/proc_maps.h"
#include "preload/segment_writer.h"

namespace cgoprof {

struct LoadedModule {
  // immutable once counted
  uintptr_t start;
  uintptr_t end;
  uintptr_t bias;
  CfiTable cfi;         // cfi.hdr 0: no unwind tables
  uint32_t segment_id;  // index + 1 in kModules; 0 if the segment had no room
  bool is_executable;   // the main program: never unloaded
  uint64_t inode;
  uint32_t path_hash;
  // atomic
  uint32_t alive;
  // owned by the refreshing thread
  bool seen;
};

class ModuleTable {
 public:
  static constexpr uint32_t kCapacity = 4096;

  // Registers all that is loaded now. Called once, at start.
  void Init(SegmentWriter* segment);

  // The image that covers `pc`, or nullptr. Looks for new images first if that could help. Thread-safe; may read
  // /proc/self/maps, for a hundredth of the time at most if PCs lie in memory that belongs to no image (JIT code).
  const LoadedModule* Find(uintptr_t pc);

  // To be called before and after the program unloads a library.
  void NoteUnload() { __atomic_fetch_add(&unloads_, 1, __ATOMIC_RELEASE); }

  // Looks at the mappings again if a library was unloaded since the last look. Called before each walk.
  void RefreshIfStale() {
    if (__builtin_expect(IsStale(), 0)) RefreshStale();
  }

  // Changes whenever an image may be gone.
  uint16_t generation() const { return static_cast<uint16_t>(__atomic_load_n(&generation_, __ATOMIC_ACQUIRE)); }

  // The main program; nullptr if it could not be registered.
  const LoadedModule* executable() const;

  // Marks the main program's entry in the segment as holding Go code.
  void MarkExecutableAsGo();

 private:
  struct Scan;
  static void Visit(const Mapping& mapping, void* argument);
  const LoadedModule* Search(uintptr_t pc) const;
  bool LockRefresh();
  void UnlockRefresh();
  bool IsStale() const {
    return __atomic_load_n(&unloads_, __ATOMIC_ACQUIRE) != __atomic_load_n(&unloads_looked_, __ATOMIC_ACQUIRE);
  }
  void RefreshStale();
  bool Refresh();  // the lock is held, or no other thread is there yet; false if the mappings cannot be listed
  void Add(const Mapping& mapping, const ElfImage& image);
  uint32_t AddToSegment(const Mapping& mapping, const ElfImage& image, bool is_executable);

  SegmentWriter* segment_;
  uintptr_t program_headers_;  // of the main program: tells which image that is
  uint32_t count_;
  uint32_t refreshing_;      // lock word of Refresh: 0, or since when it is held
  uint32_t unloads_;         // atomic; notes of them
  uint32_t unloads_looked_;  // atomic; how many of those the last look came after
  uint32_t generation_;
  uint64_t next_look_ns_;  // CLOCK_MONOTONIC before which PCs in no image are not looked for
  LoadedModule modules_[kCapacity];
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_MODULES_H_
