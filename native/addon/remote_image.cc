// See remote_image.h.
#include "addon/remote_image.h"

#include <string.h>

#include <algorithm>

namespace cgoprof {
namespace {

constexpr uint32_t kMostHeaders = 64;
constexpr uint64_t kMostDynamicBytes = 64 << 10;
constexpr uint32_t kMostChainSteps = 1 << 20;

uint32_t GnuHash(const std::string& name) {
  uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<uint8_t>(c);
  return hash;
}

uint32_t SysvHash(const std::string& name) {
  uint32_t hash = 0;
  for (const char c : name) {
    hash = (hash << 4) + static_cast<uint8_t>(c);
    hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
  }
  return hash;
}

}  // namespace

std::optional<RemoteImage> RemoteImage::At(const RemoteProcess& process, const RemoteMapping& first) {
  RemoteImage image(process);
  image.path_ = first.path;
  if (!image.ReadHeaders(first.start)) return std::nullopt;
  return image;
}

bool RemoteImage::ReadHeaders(uint64_t start) {
  Elf64_Ehdr header;
  if (!process_->Read(start, &header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > kMostHeaders) {
    return false;
  }
  std::vector<Elf64_Phdr> headers(header.e_phnum);
  if (!process_->ReadMemory(start + header.e_phoff, headers.data(), headers.size() * sizeof(Elf64_Phdr))) return false;
  constexpr uint64_t kPageMask = ~uint64_t{4095};
  uint64_t low = UINT64_MAX, high = 0;
  const Elf64_Phdr* dynamic = nullptr;
  for (const Elf64_Phdr& one : headers) {
    if (one.p_type == PT_LOAD) {
      low = std::min<uint64_t>(low, one.p_vaddr & kPageMask);
      high = std::max<uint64_t>(high, one.p_vaddr + one.p_memsz);
    }
    if (one.p_type == PT_DYNAMIC) dynamic = &one;
  }
  if (low >= high || dynamic == nullptr) return false;
  bias_ = start - low;
  start_ = start;
  end_ = high + bias_;
  return ReadDynamic(dynamic->p_vaddr + bias_, std::min<uint64_t>(dynamic->p_memsz, kMostDynamicBytes));
}

bool RemoteImage::ReadDynamic(uint64_t dynamic, uint64_t bytes) {
  std::vector<Elf64_Dyn> entries(bytes / sizeof(Elf64_Dyn));
  if (!process_->ReadMemory(dynamic, entries.data(), entries.size() * sizeof(Elf64_Dyn))) return false;
  // glibc's loader has relocated these; musl's has not, nor has anybody the vDSO's.
  const auto address = [&](uint64_t value) { return Contains(value) ? value : value + bias_; };
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_SYMTAB) symbols_ = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_STRTAB) strings_ = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_VERSYM) versions_ = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_GNU_HASH) gnu_hash_ = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_HASH) sysv_hash_ = address(entry.d_un.d_ptr);
  }
  return symbols_ != 0 && strings_ != 0 && (gnu_hash_ != 0 || sysv_hash_ != 0);
}

// The address of symbol `index`, if it is a function of that name.
std::optional<uint64_t> RemoteImage::Match(uint32_t index, const std::string& name) const {
  constexpr uint16_t kHiddenVersion = 0x8000;
  Elf64_Sym symbol;
  uint16_t version = 0;
  std::string found(name.size() + 1, '\0');
  if (!process_->Read(symbols_ + index * sizeof(symbol), &symbol) || symbol.st_shndx == SHN_UNDEF ||
      ELF64_ST_TYPE(symbol.st_info) != STT_FUNC ||
      !process_->ReadMemory(strings_ + symbol.st_name, found.data(), found.size()) || found.back() != '\0' ||
      found.compare(0, name.size(), name) != 0) {
    return std::nullopt;
  }
  if (versions_ != 0 && process_->Read(versions_ + index * sizeof(version), &version) &&
      (version & kHiddenVersion) != 0) {
    return std::nullopt;
  }
  const uint64_t address = symbol.st_value + bias_;
  if (!Contains(address)) return std::nullopt;
  return address;
}

// Format: binutils' bfd/elflink.c.
uint64_t RemoteImage::FindByGnuHash(const std::string& name) const {
  struct {
    uint32_t buckets, first, bloom_words, bloom_shift;
  } header;
  if (!process_->Read(gnu_hash_, &header) || header.buckets == 0) return 0;
  const uint32_t hash = GnuHash(name);
  const uint64_t buckets = gnu_hash_ + sizeof(header) + uint64_t{header.bloom_words} * 8;
  const uint64_t chain = buckets + uint64_t{header.buckets} * 4;
  uint32_t index = 0;
  if (!process_->Read(buckets + uint64_t{hash % header.buckets} * 4, &index) || index < header.first) return 0;
  for (uint32_t step = 0; step < kMostChainSteps; ++step, ++index) {
    uint32_t entry = 0;
    if (!process_->Read(chain + uint64_t{index - header.first} * 4, &entry)) return 0;
    if ((entry | 1) == (hash | 1)) {
      if (const auto address = Match(index, name)) return *address;
    }
    if ((entry & 1) != 0) return 0;
  }
  return 0;
}

uint64_t RemoteImage::FindBySysvHash(const std::string& name) const {
  struct {
    uint32_t buckets, chains;
  } header;
  if (!process_->Read(sysv_hash_, &header) || header.buckets == 0) return 0;
  const uint64_t buckets = sysv_hash_ + sizeof(header);
  const uint64_t chain = buckets + uint64_t{header.buckets} * 4;
  uint32_t index = 0;
  if (!process_->Read(buckets + uint64_t{SysvHash(name) % header.buckets} * 4, &index)) return 0;
  for (uint32_t step = 0; index != 0 && index < header.chains && step < kMostChainSteps; ++step) {
    if (const auto address = Match(index, name)) return *address;
    if (!process_->Read(chain + uint64_t{index} * 4, &index)) return 0;
  }
  return 0;
}

uint64_t RemoteImage::FindFunction(const std::string& name) const {
  return gnu_hash_ != 0 ? FindByGnuHash(name) : FindBySysvHash(name);
}

std::vector<RemoteImage> FindImages(const RemoteProcess& process, const std::vector<RemoteMapping>& mappings) {
  std::vector<RemoteImage> images;
  for (const RemoteMapping& mapping : mappings) {
    if (mapping.offset != 0 || !mapping.readable || mapping.inode == 0) continue;
    if (auto image = RemoteImage::At(process, mapping)) images.push_back(std::move(*image));
  }
  return images;
}

}  // namespace cgoprof
