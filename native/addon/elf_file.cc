// See elf_file.h.
#include "addon/elf_file.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <string.h>

#include "addon/safe_text.h"

namespace cgoprof {
namespace {

std::string GnuBuildId(Elf* elf) {
  const void* bits = nullptr;
  const ssize_t size = dwelf_elf_gnu_build_id(elf, &bits);
  return size > 0 ? Hex({static_cast<const char*>(bits), static_cast<size_t>(size)}) : "";
}

bool IsSupported(Elf* elf) {
  GElf_Ehdr header;
  // ET_REL: what dwz writes.
  return elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) != nullptr &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB &&
         (header.e_type == ET_EXEC || header.e_type == ET_DYN || header.e_type == ET_REL);
}

}  // namespace

std::unique_ptr<ElfFile> ElfFile::Open(const std::string& path, std::string* why) {
  std::unique_ptr<ElfFile> opened(new ElfFile(path));
  if (opened->file_.error()) {
    *why = opened->file_.error().message;
    return nullptr;
  }
  elf_version(EV_CURRENT);
  // ELF_C_READ copies what it needs. The MMAP variants would die of SIGBUS when the file shrinks.
  opened->elf_ = elf_begin(opened->file_.fd(), ELF_C_READ, nullptr);
  if (!IsSupported(opened->elf_)) {
    *why = "not a 64-bit little-endian ELF program or library";
    return nullptr;
  }
  opened->build_id_ = GnuBuildId(opened->elf_);
  return opened;
}

ElfFile::~ElfFile() { elf_end(elf_); }

Elf_Scn* ElfFile::Section(const char* name) const {
  size_t names = 0;
  if (elf_getshdrstrndx(elf_, &names) != 0) return nullptr;
  for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* its_name = elf_strptr(elf_, names, header.sh_name);
    if (its_name != nullptr && strcmp(its_name, name) == 0) return section;
  }
  return nullptr;
}

Elf_Scn* ElfFile::SectionOfType(uint32_t type) const {
  for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr && header.sh_type == type) return section;
  }
  return nullptr;
}

std::string_view ElfFile::Content(Elf_Scn* section) const {
  const Elf_Data* data = section != nullptr ? elf_rawdata(section, nullptr) : nullptr;
  if (data == nullptr || data->d_buf == nullptr) return {};
  return {static_cast<const char*>(data->d_buf), data->d_size};
}

}  // namespace cgoprof
