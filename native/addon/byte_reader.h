// Bounds-checked little-endian reads from bytes that may say anything.
#ifndef CGOPROF_ADDON_BYTE_READER_H_
#define CGOPROF_ADDON_BYTE_READER_H_

#include <stdint.h>
#include <string.h>

#include <string_view>

namespace cgoprof {

// The number at `offset`; false, and *value as it was, when it does not lie within `bytes`.
template <typename Number>
bool ReadAt(std::string_view bytes, uint64_t offset, Number* value) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(*value)) return false;
  memcpy(value, bytes.data() + offset, sizeof(*value));
  return true;
}

// The NUL-terminated text at `offset`, without the NUL; '' when it is outside, has no end, or is absurdly long.
inline std::string_view TextAt(std::string_view bytes, uint64_t offset) {
  constexpr size_t kMaxLength = 64 << 10;  // generic Go names reach some thousands
  if (offset >= bytes.size()) return {};
  bytes = bytes.substr(offset, kMaxLength);
  const size_t end = bytes.find('\0');
  return end == std::string_view::npos ? std::string_view() : bytes.substr(0, end);
}

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_BYTE_READER_H_
