// See elf_sections.h.
#include "preload/elf_sections.h"

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "preload/raw_syscall.h"

namespace cgoprof {
namespace {

constexpr size_t kMostNameBytes = 32;

bool ReadAt(long fd, uint64_t offset, void* out, size_t length) {
  return RawSyscall(SYS_pread64, fd, PointerArg(out), static_cast<long>(length), static_cast<long>(offset)) ==
         static_cast<long>(length);
}

void Match(long fd, const Elf64_Shdr& names, const Elf64_Shdr& section, SectionQuery* queries, uint32_t count) {
  if (section.sh_addr == 0 || section.sh_type == SHT_NOBITS || section.sh_name >= names.sh_size) return;
  char name[kMostNameBytes + 1] = {};
  const uint64_t left = names.sh_size - section.sh_name;
  if (!ReadAt(fd, names.sh_offset + section.sh_name, name, left < kMostNameBytes ? left : kMostNameBytes)) return;
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(name, queries[i].name) != 0) continue;
    queries[i].address = section.sh_addr;
    queries[i].bytes = section.sh_size;
  }
}

}  // namespace

void FindSections(SectionQuery* queries, uint32_t count) {
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, PointerArg("/proc/self/exe"), O_RDONLY | O_CLOEXEC);
  if (IsError(fd)) return;
  Elf64_Ehdr header = {};
  Elf64_Shdr names = {};
  if (ReadAt(fd, 0, &header, sizeof(header)) && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
      header.e_shentsize == sizeof(Elf64_Shdr) && header.e_shstrndx < header.e_shnum &&
      ReadAt(fd, header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr), &names, sizeof(names))) {
    for (uint32_t i = 0; i < header.e_shnum; i++) {
      Elf64_Shdr section = {};
      if (!ReadAt(fd, header.e_shoff + i * sizeof(section), &section, sizeof(section))) break;
      Match(fd, names, section, queries, count);
    }
  }
  RawSyscall(SYS_close, fd);
}

}  // namespace cgoprof
