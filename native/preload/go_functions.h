// Finds, in the running Go program itself, the few runtime functions at which stacks cross between C and Go.
//
// The names come from .gopclntab, the table the Go runtime itself unwinds with: it is present in every Go program, also
// after -s -w. The table is read where it lies in memory, so that addresses in it are relocated already.
//
// Formats: runtime/symtab.go (pcHeader, moduledata, _func), Go 1.18 to 1.27. Before 1.26 pcHeader.textStart holds the
// base of code offsets; from 1.26 on that field is 0 and moduledata.text holds it.
#ifndef CGOPROF_PRELOAD_GO_FUNCTIONS_H_
#define CGOPROF_PRELOAD_GO_FUNCTIONS_H_

#include <stdint.h>

namespace cgoprof {

struct AddressRange {
  uintptr_t start;
  uintptr_t end;
  bool Contains(uintptr_t address) const { return address >= start && address < end; }
};

// A function can be there more than once under one name: the assembly function and its wrapper for the other ABI.
struct NamedFunction {
  static constexpr uint32_t kMost = 4;
  AddressRange ranges[kMost];
  uint32_t count;
  bool Contains(uintptr_t address) const {
    for (uint32_t i = 0; i < count; i++) {
      if (ranges[i].Contains(address)) return true;
    }
    return false;
  }
};

struct GoFunctions {
  AddressRange text;  // all Go code; and the C code, where the Go linker did all the linking
  NamedFunction asmcgocall;
  NamedFunction asmcgocall_landingpad;  // Go 1.22 and later
  NamedFunction cgocall;
  NamedFunction cgocallback;
  NamedFunction rt0_go;  // where the runtime starts; calls C while there is no goroutine yet
  // Bytes from SP inside runtime.cgocall (at a call) to the end of its frame, the place of its return address. 0 if
  // unknown. Needed up to Go 1.20 only.
  uint32_t cgocall_frame_bytes;
};

// Fills `functions` for the main program, whose run-time addresses are ELF addresses + bias and whose image is
// [image_start, image_end). False if it holds no Go code that could be understood.
bool FindGoFunctions(uintptr_t bias, uintptr_t image_start, uintptr_t image_end, GoFunctions* functions);

// The part behind the search for the table, for tests: the table at `start` is readable up to `end`; `module_data` may
// be 0.
bool ReadGoFunctions(uintptr_t start, uintptr_t end, uintptr_t module_data, GoFunctions* functions);

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_GO_FUNCTIONS_H_
