// See demangle.h.
#include "addon/demangle.h"

#include <libiberty/demangle.h>
#include <stdlib.h>

#include <memory>

namespace cgoprof {

std::string Demangle(const std::string& linkage_name) {
  // By default libiberty refuses C++ names over 1,024 characters, which templates reach. Without that limit its stack
  // grows with the name, so there has to be one: 4,096 characters need up to 700 KB.
  constexpr size_t kMaxLength = 4096;
  if (linkage_name.size() < 2 || linkage_name.size() > kMaxLength) return "";
  if (linkage_name[0] != '_' || (linkage_name[1] != 'Z' && linkage_name[1] != 'R')) return "";
  constexpr int kOptions = DMGL_AUTO | DMGL_ANSI | DMGL_PARAMS | DMGL_RET_DROP | DMGL_NO_RECURSE_LIMIT;
  const std::unique_ptr<char, decltype(&free)> name(cplus_demangle(linkage_name.c_str(), kOptions), &free);
  return name ? name.get() : "";
}

}  // namespace cgoprof
