// See overwritten_library.h.
#include "addon/overwritten_library.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <vector>

namespace cgoprof {
namespace {

constexpr uint32_t kMostHeaders = 64;
constexpr uint32_t kMostEntries = 4096;
constexpr uint32_t kMostLibraries = 1 << 16;

// A value of the auxiliary vector; 0: it has none.
uint64_t AuxiliaryValue(const std::string& vector, uint64_t type) {
  Elf64_auxv_t entry;
  for (size_t at = 0; at + sizeof(entry) <= vector.size(); at += sizeof(entry)) {
    memcpy(&entry, vector.data() + at, sizeof(entry));
    if (entry.a_type == type) return entry.a_un.a_val;
  }
  return 0;
}

// Of a dynamic section.
struct Entry {
  bool is_readable;
  uint64_t value;  // 0: there is no such entry
};

Entry FindEntry(const RemoteProcess& process, uint64_t dynamic, int64_t tag) {
  Elf64_Dyn entry;
  for (uint32_t i = 0; i < kMostEntries; i++) {
    if (!process.Read(dynamic + i * sizeof(entry), &entry)) return {false, 0};
    if (entry.d_tag == tag) return {true, entry.d_un.d_val};
    if (entry.d_tag == DT_NULL) break;
  }
  return {true, 0};
}

// The executable's, by its program headers; 0: not found.
uint64_t FindDynamicSection(const RemoteProcess& process) {
  const std::string vector = process.ReadFile("auxv").value_or("");
  const uint64_t address = AuxiliaryValue(vector, AT_PHDR);
  const uint64_t count = std::min<uint64_t>(AuxiliaryValue(vector, AT_PHNUM), kMostHeaders);
  std::vector<Elf64_Phdr> headers(count);
  if (count == 0 || !process.ReadMemory(address, headers.data(), count * sizeof(Elf64_Phdr))) return 0;
  uint64_t bias = 0, dynamic = 0;
  for (const Elf64_Phdr& header : headers) {
    if (header.p_type == PT_PHDR) bias = address - header.p_vaddr;
    if (header.p_type == PT_DYNAMIC) dynamic = header.p_vaddr;
  }
  return dynamic != 0 ? dynamic + bias : 0;
}

// glibc has relocated the addresses in it; not so the vDSO's, which is no file's.
bool IsOverwritten(const RemoteProcess& process, const link_map& library) {
  constexpr uint64_t kNear = uint64_t{1} << 31;
  const uint64_t dynamic = reinterpret_cast<uint64_t>(library.l_ld);
  const Entry strings = FindEntry(process, dynamic, DT_STRTAB);
  return !strings.is_readable || strings.value - dynamic + kNear >= 2 * kNear;
}

std::string LookOnce(const RemoteProcess& process) {
  const uint64_t executable = FindDynamicSection(process);
  r_debug debug = {};
  if (executable == 0 || !process.Read(FindEntry(process, executable, DT_DEBUG).value, &debug)) return "";
  const std::vector<RemoteMapping> mappings = process.Mappings();
  link_map library = {};
  library.l_next = debug.r_map;
  for (uint32_t i = 0; i < kMostLibraries && library.l_next != nullptr; i++) {
    if (!process.Read(reinterpret_cast<uint64_t>(library.l_next), &library)) return "";
    const RemoteMapping* const mapping = FindMapping(mappings, reinterpret_cast<uint64_t>(library.l_ld));
    if (mapping != nullptr && mapping->inode != 0 && IsOverwritten(process, library)) return mapping->path;
  }
  return "";
}

}  // namespace

std::string FindOverwrittenLibrary(const RemoteProcess& process) {
  constexpr int kLooks = 4;
  const timespec nap = {0, 20'000'000};
  std::string found = LookOnce(process);
  for (int look = 1; look < kLooks && !found.empty(); look++) {
    nanosleep(&nap, nullptr);
    if (LookOnce(process) != found) return "";
  }
  return found;
}

}  // namespace cgoprof
