// One line of one location, as the symbolizer and all of its parts hand it on.
#ifndef CGOPROF_ADDON_SOURCE_LINE_H_
#define CGOPROF_ADDON_SOURCE_LINE_H_

#include <stdint.h>

#include <string>

namespace cgoprof {

struct SourceLine {
  std::string name;         // what a profile shows; of Go functions exactly the runtime's own name
  std::string system_name;  // linkage name; equals name where there is none
  std::string file;         // as recorded at compile time, absolute unless the compiler was told otherwise; '' unknown
  uint32_t line = 0;        // 1-based; 0 unknown
  uint32_t start_line = 0;  // first line of the function; 0 unknown
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SOURCE_LINE_H_
