// Finds sections of the main program by name. Section headers are not mapped, so they are read from /proc/self/exe,
// which stays the running file even when its path was replaced.
#ifndef CGOPROF_PRELOAD_ELF_SECTIONS_H_
#define CGOPROF_PRELOAD_ELF_SECTIONS_H_

#include <stdint.h>

namespace cgoprof {

struct SectionQuery {
  const char* name;
  uint64_t address;  // ELF virtual address; set if found
  uint64_t bytes;    // 0: not found
};

// Looks up all queries in one pass over the headers. Sections without memory are not found.
void FindSections(SectionQuery* queries, uint32_t count);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_ELF_SECTIONS_H_
