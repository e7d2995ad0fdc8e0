// Tells what an executable is, as far as preloading a library into it matters. The file is hostile input and is read
// with own bounds checks: nothing but the headers, the interpreter's path, the notes and the symbols is looked at.
//
// Knows nothing of Node, so that tests can drive it.
#ifndef CGOPROF_ADDON_EXECUTABLE_INFO_H_
#define CGOPROF_ADDON_EXECUTABLE_INFO_H_

#include <string>

#include "addon/native_error.h"

namespace cgoprof {

enum class ExecutableFormat { kElf, kScript, kOther };

struct ExecutableInfo {
  ExecutableFormat format = ExecutableFormat::kOther;
  // "amd64", "arm64", or the e_machine number. A 32-bit or big-endian image always has the number, and nothing but
  // `machine` and `has_capabilities` is told of it: whatever the machine, no library of ours fits.
  std::string machine;
  bool dynamic = false;     // has PT_INTERP
  std::string interpreter;  // PT_INTERP, or the script's #! interpreter; safe text
  bool is_go = false;       // carries a Go build-id note: name "Go", type 4 (cmd/link/internal/ld/elf.go)
  // Defines malloc for the whole process, and is an allocator: it also knows the size of a block, which a wrapper that
  // passes on to the next malloc leaves to that. Or defines malloc and free for itself alone, hidden from libraries,
  // and has no way to pass on; once stripped, that is not told any more.
  bool has_own_malloc = false;
  bool has_capabilities = false;  // carries the attribute security.capability
};

struct ExecutableInfoResult {
  NativeError error;  // set (ENOENT, EACCES, EIO): `info` means nothing
  ExecutableInfo info;
};

// Keeps no state; may be called from any thread. A damaged ELF file is no error: it has what could be read.
ExecutableInfoResult InspectExecutable(const char* path);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_EXECUTABLE_INFO_H_
