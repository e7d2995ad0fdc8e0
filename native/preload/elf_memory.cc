// See elf_memory.h.
#include "preload/elf_memory.h"

#include <fcntl.h>
#include <string.h>

#include <initializer_list>

#include "preload/raw_syscall.h"
#include "preload/readable.h"

namespace cgoprof {
namespace {

constexpr uint64_t kPageMask = ~uint64_t{4095};

// A program header's memory, or empty if its numbers overflow.
struct Range {
  uint64_t start;
  uint64_t end;
};

Range MemoryOf(const Elf64_Phdr& header) {
  uint64_t end;
  if (__builtin_add_overflow(header.p_vaddr, header.p_memsz, &end)) return {0, 0};
  return {header.p_vaddr, end};
}

void AddLoad(const Elf64_Phdr& header, ElfImage* image, bool* any) {
  const Range range = MemoryOf(header);
  if (range.end == 0) return;
  const uint64_t low = range.start & kPageMask;
  if (!*any || low < image->start) image->start = low;
  if (!*any || range.end > image->end) image->end = range.end;
  *any = true;
  if ((header.p_flags & PF_X) == 0) return;
  const uint64_t page_offset = range.start - low;
  if (image->text_end == 0 || low < image->text_start) {
    image->text_start = low;
    image->text_offset = header.p_offset - page_offset;
  }
  if (range.end > image->text_end) image->text_end = range.end;
}

// The file-backed part of the PT_LOAD that holds the unwind tables.
void FindCfiSegment(const Elf64_Phdr* headers, uint32_t count, ElfImage* image) {
  for (uint32_t i = 0; i < count; i++) {
    const Elf64_Phdr& h = headers[i];
    if (h.p_type != PT_LOAD || image->eh_frame_hdr < h.p_vaddr) continue;
    uint64_t end;
    if (__builtin_add_overflow(h.p_vaddr, h.p_filesz, &end) || image->eh_frame_hdr >= end) continue;
    image->cfi_start = h.p_vaddr;
    image->cfi_end = end;
    return;
  }
  image->eh_frame_hdr = 0;
}

void FindBuildId(const ProcessMemory& memory, uintptr_t address, uint64_t length, ElfScratch* scratch,
                 ElfImage* image) {
  uint8_t* const notes = scratch->notes;
  if (length > sizeof(scratch->notes)) length = sizeof(scratch->notes);
  if (!memory.Read(address, notes, length)) return;
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= length;) {
    Elf64_Nhdr note;
    memcpy(&note, notes + at, sizeof(note));
    const uint64_t name = at + sizeof(note);
    const uint64_t data = name + ((uint64_t{note.n_namesz} + 3) & ~uint64_t{3});
    const uint64_t next = data + ((uint64_t{note.n_descsz} + 3) & ~uint64_t{3});
    if (next > length) return;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
        note.n_descsz <= kMaxBuildIdBytes) {
      memcpy(image->build_id, notes + data, note.n_descsz);
      image->build_id_bytes = note.n_descsz;
      return;
    }
    at = next;
  }
}

bool HeaderUsable(const Elf64_Ehdr& header) {
  return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phnum <= ElfScratch::kMostHeaders;
}

}  // namespace

void ProcessMemory::Open() {
  fd_ = RawSyscall(SYS_openat, AT_FDCWD, PointerArg("/proc/self/mem"), O_RDONLY | O_CLOEXEC);
}

void ProcessMemory::Close() {
  if (!IsError(fd_)) RawSyscall(SYS_close, fd_);
}

bool ProcessMemory::Read(uintptr_t address, void* out, size_t length) const {
  if (IsError(fd_)) {
    if (!IsRangeReadable(address, address + length)) return false;
    memcpy(out, reinterpret_cast<const void*>(address), length);
    return true;
  }
  return RawSyscall(SYS_pread64, fd_, PointerArg(out), static_cast<long>(length), static_cast<long>(address)) ==
         static_cast<long>(length);
}

bool ReadElfImage(const ProcessMemory& memory, uintptr_t start, ElfScratch* scratch, ElfImage* image) {
  Elf64_Ehdr header = {};
  Elf64_Phdr* const headers = scratch->headers;
  if (!memory.Read(start, &header, sizeof(header)) || !HeaderUsable(header)) return false;
  const uint32_t count = header.e_phnum;
  if (!memory.Read(start + header.e_phoff, headers, count * sizeof(Elf64_Phdr))) return false;

  *image = {};
  bool any = false;
  for (uint32_t i = 0; i < count; i++) {
    if (headers[i].p_type == PT_LOAD) AddLoad(headers[i], image, &any);
    if (headers[i].p_type == PT_GNU_EH_FRAME) image->eh_frame_hdr = headers[i].p_vaddr;
  }
  if (!any || image->text_end == 0) return false;
  if (image->eh_frame_hdr != 0) FindCfiSegment(headers, count, image);

  image->bias = start - image->start;
  for (uint32_t i = 0; i < count && image->build_id_bytes == 0; i++) {
    if (headers[i].p_type == PT_NOTE) {
      FindBuildId(memory, headers[i].p_vaddr + image->bias, headers[i].p_memsz, scratch, image);
    }
  }
  for (uintptr_t* address : {&image->start, &image->end, &image->text_start, &image->text_end}) *address += image->bias;
  if (image->eh_frame_hdr != 0) {
    for (uintptr_t* address : {&image->eh_frame_hdr, &image->cfi_start, &image->cfi_end}) *address += image->bias;
  }
  return true;
}

}  // namespace cgoprof
