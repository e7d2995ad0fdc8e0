// See remote_image.h.
#include "addon/remote_image.h"

#include <string.h>

#include <algorithm>
#include <string_view>

namespace cgoprof {
namespace {

constexpr uint32_t kMostHeaders = 64;
constexpr uint64_t kMostDynamicBytes = 64 << 10;

// As SymbolLookup reads it.
class ImageMemory {
 public:
  explicit ImageMemory(const RemoteProcess& process) : process_(process) {}

  template <typename Value>
  bool Read(uint64_t address, Value* value) const {
    return process_.Read(address, value);
  }

  bool HasText(uint64_t address, const char* text) const {
    const std::string_view wanted(text, strlen(text) + 1);
    std::string found(wanted.size(), '\0');
    return process_.ReadMemory(address, found.data(), found.size()) && found == wanted;
  }

 private:
  const RemoteProcess& process_;
};

// A value of the auxiliary vector; 0: it has none.
uint64_t AuxiliaryValue(const std::string& vector, uint64_t type) {
  Elf64_auxv_t entry;
  for (size_t at = 0; at + sizeof(entry) <= vector.size(); at += sizeof(entry)) {
    memcpy(&entry, vector.data() + at, sizeof(entry));
    if (entry.a_type == type) return entry.a_un.a_val;
  }
  return 0;
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
  is_dynamic_section_read_only_ = (dynamic->p_flags & PF_W) == 0;
  return ReadDynamic(dynamic->p_vaddr + bias_, std::min<uint64_t>(dynamic->p_memsz, kMostDynamicBytes));
}

bool RemoteImage::ReadDynamic(uint64_t dynamic, uint64_t bytes) {
  std::vector<Elf64_Dyn> entries(bytes / sizeof(Elf64_Dyn));
  if (!process_->ReadMemory(dynamic, entries.data(), entries.size() * sizeof(Elf64_Dyn))) return false;
  // glibc's loader has relocated these; musl's has not, nor has anybody the vDSO's.
  const auto address = [&](uint64_t value) { return Contains(value) ? value : value + bias_; };
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_DEBUG) debug_ = entry.d_un.d_ptr;
    if (entry.d_tag == DT_SYMTAB) symbols_.symbols = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_STRTAB) symbols_.strings = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_VERSYM) symbols_.versions = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_GNU_HASH) symbols_.gnu_hash = address(entry.d_un.d_ptr);
    if (entry.d_tag == DT_HASH) symbols_.sysv_hash = address(entry.d_un.d_ptr);
  }
  return symbols_.symbols != 0 && symbols_.strings != 0 && (symbols_.gnu_hash != 0 || symbols_.sysv_hash != 0);
}

uint64_t RemoteImage::FindFunction(const std::string& name) const {
  ImageMemory memory(*process_);
  const uint64_t found = SymbolLookup(&memory, symbols_).Find({name.c_str(), SymbolVersion::kCurrent});
  Elf64_Sym symbol;
  // Resolvers (STT_GNU_IFUNC) run in the process alone.
  if (found == 0 || !process_->Read(found, &symbol) || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) return 0;
  const uint64_t address = symbol.st_value + bias_;
  return Contains(address) ? address : 0;
}

std::vector<RemoteImage> FindImages(const RemoteProcess& process, const std::vector<RemoteMapping>& mappings) {
  std::vector<RemoteImage> images;
  for (const RemoteMapping& mapping : mappings) {
    if (mapping.offset != 0 || !mapping.readable || mapping.inode == 0) continue;
    if (auto image = RemoteImage::At(process, mapping)) images.push_back(std::move(*image));
  }
  return images;
}

const RemoteImage* FindExecutable(const RemoteProcess& process, const std::vector<RemoteImage>& images) {
  const uint64_t headers = AuxiliaryValue(process.ReadFile("auxv").value_or(""), AT_PHDR);
  const auto found =
      std::find_if(images.rbegin(), images.rend(), [&](const RemoteImage& image) { return image.Contains(headers); });
  return found != images.rend() ? &*found : nullptr;
}

}  // namespace cgoprof
