// Turns the addresses of one module into functions and lines: Go code by .gopclntab, everything else by DWARF and,
// where there is none, by the ELF symbol tables.
#ifndef CGOPROF_ADDON_SYMBOLIZER_H_
#define CGOPROF_ADDON_SYMBOLIZER_H_

#include <stdint.h>

#include <string>
#include <vector>

#include "addon/source_line.h"

namespace cgoprof {

struct SymbolizeRequest {
  // Files that may be the module's image, best first: the first one that opens and has the build id is used.
  std::vector<std::string> files;
  // GNU build id, hex; '' accepts any file.
  std::string build_id;
  // ELF virtual addresses, moved back by 1 into the call that they are the return address of.
  std::vector<uint64_t> addresses;
  // Where separate debug files lie: ROOT/.build-id/xx/yyyy.debug and ROOT/<directory of the image>/<debuglink>.
  std::vector<std::string> debug_roots;
};

struct SymbolizeResult {
  // Per address, innermost inlined function first; [] when nothing is known. Also [] where is_go is 1 for a wrapper
  // that the Go compiler made (method value, go and defer statements with arguments): Go's own profiles leave those
  // out.
  std::vector<std::vector<SourceLine>> lines;
  // 1 where the address lies in Go code.
  std::vector<uint8_t> is_go;
  // The image that was used; '' when none could be.
  std::string file;
  // Why lines are missing, one clause for people; '' when all is well.
  std::string warning;
};

// Thread-safe for different calls; never throws for bad input files. Uses the local file system only: no debuginfod.
SymbolizeResult SymbolizeModule(const SymbolizeRequest& request);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SYMBOLIZER_H_
