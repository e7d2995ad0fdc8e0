// Go addresses to functions and lines, by .gopclntab: names, files, lines and inlining come out exactly as Go's own
// heap profile writes them, so that a Go function is one node in a merged profile.
//
// Formats: runtime/symtab.go, runtime/symtabinl.go and runtime/runtime2.go (_func) of Go 1.18 to 1.27.
#ifndef CGOPROF_ADDON_GO_PCLNTAB_H_
#define CGOPROF_ADDON_GO_PCLNTAB_H_

#include <stdint.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/elf_file.h"
#include "addon/go_module.h"
#include "addon/memory_image.h"
#include "addon/source_line.h"

namespace cgoprof {

// What the table knows of an address.
struct GoLocation {
  enum Kind {
    kNothing,  // not in the text that Go linked, or the table is damaged there
    kGo,       // Go code, also Go's assembly
    kForeign,  // C that Go's internal linker put between Go functions: lines hold its name at most
  };
  Kind kind = kNothing;
  // Innermost inlined function first. Compiler-made wrappers are left out, as in runtime.Callers, so there can be none.
  std::vector<SourceLine> lines;
};

// Not thread-safe: counts its own work.
class GoPclntab {
 public:
  // nullptr: not a Go image (*why stays as it is), or its table cannot be read (*why says so in one clause).
  static std::unique_ptr<GoPclntab> Open(const ElfFile& file, std::string* why);

  // The same from memory; for the parameters see FindGoModule.
  static std::unique_ptr<GoPclntab> FromMemory(MemoryImage image, uint64_t section, uint64_t section_bytes,
                                               std::string* why);

  // `address`: within a call instruction, that is the return address - 1.
  GoLocation Lookup(uint64_t address);

 private:
  // runtime._func, with the offsets of its two trailing arrays in module_.functions.
  struct Function {
    uint32_t entry = 0;  // offset from text
    uint32_t name = 0;
    uint32_t pc_file = 0;
    uint32_t pc_line = 0;
    uint32_t unit = 0;
    uint32_t start_line = 0;
    uint32_t pc_data_count = 0;
    uint8_t id = 0;
    uint8_t func_data_count = 0;
    uint64_t pc_data = 0;
    uint64_t func_data = 0;
  };

  // runtime.inlinedCall.
  struct InlinedCall {
    uint8_t id = 0;
    uint32_t name = 0;
    uint32_t parent_pc = 0;  // offset from the physical function's entry
    uint32_t start_line = 0;
  };

  GoPclntab(std::unique_ptr<const MemoryImage> image, const GoModule& module);

  uint8_t FindWrapperId() const;
  std::optional<Function> FindFunction(uint64_t text_offset) const;
  bool ReadFunction(uint64_t offset, Function* function) const;
  bool ReadInlinedCall(const Function& function, int32_t index, InlinedCall* call) const;
  uint32_t InlineTable(const Function& function) const;
  int32_t PcValue(const Function& function, uint32_t table, uint64_t text_offset);
  void SetFileAndLine(const Function& function, uint64_t text_offset, SourceLine* line);
  std::vector<SourceLine> Expand(const Function& function, uint64_t text_offset);

  const std::unique_ptr<const MemoryImage> image_;  // what the views of module_ point into
  const GoModule module_;
  const uint8_t wrapper_id_;
  uint64_t steps_left_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_GO_PCLNTAB_H_
