// The error that every reader of the addon hands back; binding.cc turns it into the JavaScript Error with a `code`.
#ifndef CGOPROF_ADDON_NATIVE_ERROR_H_
#define CGOPROF_ADDON_NATIVE_ERROR_H_

#include <string>

namespace cgoprof {

struct NativeError {
  std::string code;     // a NativeErrorCode of src/native-binding.ts; empty: no error
  std::string message;  // one clause for people, without the file's name: the caller says which file it was

  explicit operator bool() const { return !code.empty(); }
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_NATIVE_ERROR_H_
