// Finds the Go runtime's symbol table in an image: the pcHeader that starts .gopclntab, and the moduledata that says
// where the text and the inlining trees are. Both are in every Go binary, stripped ones too: the runtime needs them.
//
// Formats: runtime/symtab.go and cmd/link/internal/ld/pcln.go of Go 1.18 to 1.27, 64-bit little-endian.
#ifndef CGOPROF_ADDON_GO_MODULE_H_
#define CGOPROF_ADDON_GO_MODULE_H_

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>

#include "addon/elf_file.h"
#include "addon/memory_image.h"

namespace cgoprof {

constexpr uint64_t kFunctionEntrySize = 8;  // runtime.functab: entry and offset of _func, 32 bits each

// The tables, each cut to where it ends at the latest. They point into the MemoryImage.
struct GoModule {
  uint64_t text = 0;            // address that all function entries are relative to
  uint64_t function_count = 0;  // entries of `functions`, without the sentinel; checked against its size
  uint32_t quantum = 1;         // bytes per unit of code address in pc_values: 1 on amd64, 4 on arm64
  bool has_start_line = false;  // since Go 1.20; it also made inlining records smaller
  std::string_view names;       // runtime.funcnametab
  std::string_view unit_files;  // runtime.cutab: per compilation unit, file number -> offset in `files`
  std::string_view files;       // runtime.filetab
  std::string_view pc_values;   // runtime.pctab
  std::string_view functions;   // runtime.pclntab: the sorted (entry, offset of _func) table, then the _func records
  std::string_view func_data;   // go:func.*: the inlining trees; '' when it was not found
};

// Whether `file` says that it was linked by Go: the cheap question, before its memory is read.
bool IsGoImage(const ElfFile& file);

// The Go module of `image`. `section` and `section_bytes` are where .gopclntab is; 0 when the image has no such section
// (external position-independent links of Go 1.19 to 1.25): its data is searched then. nullopt: *why says why not.
std::optional<GoModule> FindGoModule(const MemoryImage& image, uint64_t section, uint64_t section_bytes,
                                     std::string* why);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_GO_MODULE_H_
