// What the unwinder needs to know of an ELF image, read from the image as it lies in memory (not from its file, which
// may have been replaced since).
#ifndef CGOPROF_PRELOAD_ELF_MEMORY_H_
#define CGOPROF_PRELOAD_ELF_MEMORY_H_

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

inline constexpr size_t kMaxBuildIdBytes = 64;

// All addresses are run-time addresses of this process.
struct ElfImage {
  uintptr_t start;  // lowest and one past the highest address
  uintptr_t end;
  uintptr_t bias;  // run-time address - ELF virtual address
  uintptr_t text_start;
  uintptr_t text_end;
  uint64_t text_offset;
  uintptr_t eh_frame_hdr;  // 0: no unwind tables
  uintptr_t cfi_start;     // file-backed part of the segment that holds them; tables never lead out of it
  uintptr_t cfi_end;
  uint8_t build_id[kMaxBuildIdBytes];
  uint32_t build_id_bytes;
};

// Copies memory of this process that may vanish meanwhile: /proc/self/mem answers with an error where a load would
// fault.
class ProcessMemory {
 public:
  void Open();
  void Close();
  // True if all `length` bytes were copied.
  bool Read(uintptr_t address, void* out, size_t length) const;

 private:
  long fd_;
};

// Room for what is read on the way: too much for a small stack.
struct ElfScratch {
  static constexpr uint32_t kMostHeaders = 64;
  Elf64_Phdr headers[kMostHeaders];
  uint8_t notes[1024];
};

// Reads the image whose ELF header lies at `start`. False if there is none, or none this unwinder can use.
bool ReadElfImage(const ProcessMemory& memory, uintptr_t start, ElfScratch* scratch, ElfImage* image);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ELF_MEMORY_H_
