// See overwritten_library.h.
#include "addon/overwritten_library.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "addon/input_file.h"
#include "addon/remote_image.h"

namespace cgoprof {
namespace {

constexpr uint32_t kMostLibraries = 1 << 14;
constexpr uint64_t kMostDynamicBytes = 16 << 10;
constexpr uint64_t kPageBytes = 4096;

using Dynamic = std::vector<Elf64_Dyn>;

uint64_t ValueOf(const Dynamic& section, int64_t tag) {
  for (const Elf64_Dyn& entry : section) {
    if (entry.d_tag == tag) return entry.d_un.d_val;
  }
  return 0;
}

// Up to its end.
void CutAtEnd(Dynamic* section) {
  const auto is_end = [](const Elf64_Dyn& entry) { return entry.d_tag == DT_NULL; };
  section->erase(std::find_if(section->begin(), section->end(), is_end), section->end());
}

// What is left of its mapping holds it all. nullopt: it cannot be read.
std::optional<Dynamic> ReadDynamic(const RemoteProcess& process, uint64_t address, const RemoteMapping& mapping) {
  Dynamic section(std::min(mapping.end - address, kMostDynamicBytes) / sizeof(Elf64_Dyn));
  if (!process.ReadMemory(address, section.data(), section.size() * sizeof(Elf64_Dyn))) return std::nullopt;
  CutAtEnd(&section);
  return section;
}

bool IsInode(const InputFile& file, uint64_t inode) {
  struct stat status;
  return !file.error() && fstat(file.fd(), &status) == 0 && status.st_ino == inode;
}

// One library of the loader's list.
class Library {
 public:
  Library(const RemoteProcess& process, const std::vector<RemoteMapping>& mappings, const link_map& entry)
      : process_(process), mappings_(mappings), bias_(entry.l_addr), dynamic_(reinterpret_cast<uint64_t>(entry.l_ld)) {
    const RemoteMapping* const mapping = FindMapping(mappings, dynamic_);
    mapping_ = mapping != nullptr && mapping->inode != 0 ? mapping : nullptr;
  }

  // False, too, for what is no file's: the vDSO.
  bool IsOverwritten() const {
    if (mapping_ == nullptr) return false;
    const std::optional<Dynamic> section = ReadDynamic(process_, dynamic_, *mapping_);
    return !section || !IsRelocated(*section) || DiffersFromFile(*section);
  }

  const std::string& path() const { return mapping_->path; }

 private:
  // glibc relocates the addresses in place, but where the section is read-only. The new file's would not be.
  bool IsRelocated(const Dynamic& section) const {
    const RemoteMapping* const strings = FindMapping(mappings_, ValueOf(section, DT_STRTAB));
    return (strings != nullptr && strings->inode == mapping_->inode) || bias_ == 0 || IsSectionReadOnly();
  }

  bool IsSectionReadOnly() const {
    const auto is_first = [&](const RemoteMapping& m) {
      return m.inode == mapping_->inode && m.offset == 0 && m.start <= dynamic_;
    };
    const auto first = std::find_if(mappings_.rbegin(), mappings_.rend(), is_first);
    const auto image = first != mappings_.rend() ? RemoteImage::At(process_, *first) : std::nullopt;
    return image && image->IsDynamicSectionReadOnly();
  }

  // What the loader has filled in, and so keeps, against what the file has at that place by now. False where the file
  // is not to be had: renamed, deleted, or another one by now, it was not overwritten.
  bool DiffersFromFile(const Dynamic& section) const {
    char range[64];
    snprintf(range, sizeof(range), "%lx-%lx", mapping_->start, mapping_->end);
    const std::string root = "/proc/" + std::to_string(process_.pid());
    for (const std::string& path : {root + "/map_files/" + range, root + "/root" + mapping_->path}) {
      const InputFile file(path.c_str());
      if (IsInode(file, mapping_->inode)) return IsCutShort(file.size()) || !Matches(section, file);
    }
    return false;
  }

  bool IsCutShort(uint64_t size) const {
    const uint64_t end = (size + kPageBytes - 1) & ~(kPageBytes - 1);
    return std::any_of(mappings_.begin(), mappings_.end(), [&](const RemoteMapping& m) {
      return m.inode == mapping_->inode && m.readable && m.offset + (m.end - m.start) > end;
    });
  }

  bool Matches(const Dynamic& section, const InputFile& file) const {
    Dynamic there(section.size());
    const size_t bytes = section.size() * sizeof(Elf64_Dyn);
    if (!file.Read(mapping_->offset + (dynamic_ - mapping_->start), there.data(), bytes)) return false;
    return std::equal(section.begin(), section.end(), there.begin(), [&](const Elf64_Dyn& a, const Elf64_Dyn& b) {
      const uint64_t here = a.d_un.d_val, in_file = b.d_un.d_val;
      // DT_DEBUG is the loader's to fill in.
      return a.d_tag == b.d_tag && (here == in_file || here == in_file + bias_ || a.d_tag == DT_DEBUG);
    });
  }

  const RemoteProcess& process_;
  const std::vector<RemoteMapping>& mappings_;
  const uint64_t bias_;
  const uint64_t dynamic_;
  const RemoteMapping* mapping_;
};

// '' where all are whole; nullopt where the list changed, or is none.
std::optional<std::string> LookOnce(const RemoteProcess& process, const RemoteImage& executable) {
  const std::vector<RemoteMapping> mappings = process.Mappings();
  r_debug debug = {};
  if (!process.Read(executable.debug(), &debug)) return std::nullopt;
  link_map entry = {};
  entry.l_next = debug.r_map;
  for (uint32_t i = 0; i < kMostLibraries && entry.l_next != nullptr; i++) {
    if (!process.Read(reinterpret_cast<uint64_t>(entry.l_next), &entry)) return std::nullopt;
    const Library library(process, mappings, entry);
    if (library.IsOverwritten()) return library.path();
  }
  return "";
}

}  // namespace

std::string FindOverwrittenLibrary(const RemoteProcess& process, const RemoteImage& executable) {
  constexpr int kLooks = 6, kMustAgree = 3;
  const timespec nap = {0, 20'000'000};
  std::string last;
  int agreed = 0;
  for (int look = 0; look < kLooks && agreed < kMustAgree; look++) {
    if (look > 0) nanosleep(&nap, nullptr);
    const std::optional<std::string> found = LookOnce(process, executable);
    if (found && found->empty()) return "";
    if (!found) continue;
    agreed = *found == last ? agreed + 1 : 1;
    last = *found;
  }
  return agreed == kMustAgree ? last : "";
}

}  // namespace cgoprof
