// Linkage names made readable.
#ifndef CGOPROF_ADDON_DEMANGLE_H_
#define CGOPROF_ADDON_DEMANGLE_H_

#include <string>

namespace cgoprof {

// The C++ (Itanium ABI) or Rust (legacy and v0) name that `linkage_name` stands for, with parameters and template
// arguments, without the return type, and without Rust's hash. '' when it is not such a name. Thread-safe.
std::string Demangle(const std::string& linkage_name);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_DEMANGLE_H_
