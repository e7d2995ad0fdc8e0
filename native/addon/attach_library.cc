// See attach_library.h.
#include "addon/attach_library.h"

#include <gelf.h>
#include <string.h>

#include <algorithm>

#include "addon/elf_file.h"
#include "shared/attach_mailbox.h"

namespace cgoprof {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kMostBytes = 64 << 20;

uint64_t EndOfSegments(Elf* elf) {
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return 0;
  uint64_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) != nullptr && header.p_type == PT_LOAD)
      end = std::max<uint64_t>(end, header.p_offset + header.p_filesz);
  }
  return end;
}

// The address of an exported function; 0: there is none.
uint64_t FindExport(const ElfFile& file, const char* name) {
  Elf_Scn* const section = file.SectionOfType(SHT_DYNSYM);
  GElf_Shdr header;
  Elf_Data* const data = section != nullptr ? elf_getdata(section, nullptr) : nullptr;
  if (data == nullptr || gelf_getshdr(section, &header) == nullptr || header.sh_entsize == 0) return 0;
  for (uint64_t i = 0; i < header.sh_size / header.sh_entsize; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    const char* const its_name = elf_strptr(file.elf(), header.sh_link, symbol.st_name);
    if (its_name != nullptr && strcmp(its_name, name) == 0) return symbol.st_value;
  }
  return 0;
}

}  // namespace

std::optional<AttachLibrary> ReadAttachLibrary(const std::string& path, std::string* why) {
  const std::unique_ptr<ElfFile> file = ElfFile::Open(path, why);
  if (file == nullptr) return std::nullopt;
  AttachLibrary library;
  GElf_Shdr section;
  Elf_Scn* const load = file->Section(kAttachLoadSection);
  const uint64_t entry = FindExport(*file, kAttachLoadName);
  library.run_offset = FindExport(*file, kAttachRunName);
  const uint64_t end = EndOfSegments(file->elf());
  if (load == nullptr || gelf_getshdr(load, &section) == nullptr || entry < section.sh_addr ||
      library.run_offset == 0 || end == 0 || end > kMostBytes) {
    *why = "it is no library that can be attached";
    return std::nullopt;
  }
  library.bytes.resize(end);
  if (!file->file().Read(0, library.bytes.data(), end)) {
    *why = "it could not be read";
    return std::nullopt;
  }
  const uint64_t first = section.sh_offset / kPageBytes * kPageBytes;
  const uint64_t last = (section.sh_offset + section.sh_size + kPageBytes - 1) / kPageBytes * kPageBytes;
  library.load_pages_offset = first;
  library.load_pages_bytes = last - first;
  library.load_entry = section.sh_offset - first + (entry - section.sh_addr);
  return library;
}

}  // namespace cgoprof
