// Reads /proc/self/maps: the one list of mappings that needs no loader lock and cannot be stale.
#ifndef CGOPROF_PRELOAD_PROC_MAPS_H_
#define CGOPROF_PRELOAD_PROC_MAPS_H_

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {

struct Mapping {
  uintptr_t start;
  uintptr_t end;
  uint64_t offset;  // in the file, bytes
  uint64_t inode;   // 0: no file
  bool readable;
  bool writable;
  bool executable;
  const char* path;  // NUL-terminated, without the kernel's " (deleted)"; "" if there is none
};

// Parses one line (without its newline; changed in place: the path gets its NUL). False if it is no maps line.
bool ParseMapsLine(char* line, Mapping* mapping);

using MappingVisitor = void (*)(const Mapping& mapping, void* argument);

// Calls `visit` for every mapping in address order. `buffer` is scratch space; a line that does not fit is skipped.
// False if the file could not be opened (a process that changed its uid may not read its own maps).
bool ForEachMapping(char* buffer, size_t size, MappingVisitor visit, void* argument);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_PROC_MAPS_H_
