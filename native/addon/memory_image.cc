// See memory_image.h.
#include "addon/memory_image.h"

#include <gelf.h>
#include <string.h>

#include <algorithm>

namespace cgoprof {
namespace {

bool IsRelative(uint16_t machine, uint32_t type) {
  return (machine == EM_X86_64 && type == R_X86_64_RELATIVE) || (machine == EM_AARCH64 && type == R_AARCH64_RELATIVE);
}

void LoadSegments(const ElfFile& file, MemoryImage* image) {
  size_t count = 0;
  if (elf_getphdrnum(file.elf(), &count) != 0) return;
  uint64_t room = file.file().size();  // segments do not overlap in the file, unless somebody made them
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(file.elf(), static_cast<int>(i), &segment) == nullptr || segment.p_type != PT_LOAD) continue;
    if (segment.p_filesz == 0 || segment.p_filesz > room) continue;
    room -= segment.p_filesz;
    std::string bytes(segment.p_filesz, '\0');
    bytes.resize(file.file().ReadUpTo(segment.p_offset, bytes.data(), bytes.size()));
    image->AddSegment(segment.p_vaddr, std::move(bytes));
  }
}

void LoadRelocations(const ElfFile& file, MemoryImage* image) {
  GElf_Ehdr elf_header;
  if (gelf_getehdr(file.elf(), &elf_header) == nullptr) return;
  uint64_t room = file.file().size();
  for (Elf_Scn* section = elf_nextscn(file.elf(), nullptr); section; section = elf_nextscn(file.elf(), section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type != SHT_RELA || (header.sh_flags & SHF_ALLOC) == 0 || header.sh_size > room) continue;
    room -= header.sh_size;
    std::string_view bytes = file.Content(section);
    for (Elf64_Rela entry; bytes.size() >= sizeof(entry); bytes.remove_prefix(sizeof(entry))) {
      memcpy(&entry, bytes.data(), sizeof(entry));
      if (IsRelative(elf_header.e_machine, ELF64_R_TYPE(entry.r_info))) {
        image->AddRelocation(entry.r_offset, static_cast<uint64_t>(entry.r_addend));
      }
    }
  }
  image->SealRelocations();
}

}  // namespace

MemoryImage MemoryImage::Load(const ElfFile& file) {
  MemoryImage image;
  LoadSegments(file, &image);
  LoadRelocations(file, &image);
  return image;
}

void MemoryImage::AddSegment(uint64_t address, std::string bytes) {
  if (address > UINT64_MAX - bytes.size()) return;
  segments_.push_back({address, std::move(bytes)});
}

void MemoryImage::SealRelocations() {
  // Linkers sort them already.
  if (!std::is_sorted(relocations_.begin(), relocations_.end())) std::sort(relocations_.begin(), relocations_.end());
}

std::string_view MemoryImage::From(uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (address >= segment.address && address - segment.address < segment.bytes.size()) {
      return std::string_view(segment.bytes).substr(address - segment.address);
    }
  }
  return {};
}

bool MemoryImage::ReadPointer(uint64_t address, uint64_t* value) const {
  const std::string_view bytes = From(address);
  if (bytes.size() < sizeof(*value)) return false;
  const auto relocation =
      std::lower_bound(relocations_.begin(), relocations_.end(), std::make_pair(address, uint64_t{0}));
  if (relocation != relocations_.end() && relocation->first == address) {
    *value = relocation->second;
  } else {
    memcpy(value, bytes.data(), sizeof(*value));
  }
  return true;
}

std::vector<uint64_t> MemoryImage::PlacesOf(uint64_t value, size_t limit) const {
  std::vector<uint64_t> places;
  for (const auto& [place, target] : relocations_) {
    if (target == value && place % 8 == 0 && places.size() < limit) places.push_back(place);
  }
  for (const Segment& segment : segments_) {
    const std::string& bytes = segment.bytes;
    for (size_t at = -segment.address % 8; at + sizeof(value) <= bytes.size() && places.size() < limit; at += 8) {
      if (memcmp(bytes.data() + at, &value, sizeof(value)) == 0) places.push_back(segment.address + at);
    }
  }
  return places;
}

}  // namespace cgoprof
