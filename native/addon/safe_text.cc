// See safe_text.h.
#include "addon/safe_text.h"

#include <stddef.h>
#include <stdint.h>

namespace cgoprof {
namespace {

bool IsContinuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// Length of the well-formed character at the start of `bytes`, 0 if there is none.
size_t WellFormedLength(std::string_view bytes) {
  const auto at = [&](size_t i) { return i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : uint8_t{0}; };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4 || !IsContinuation(at(1))) return 0;
  if (lead < 0xE0) return 2;
  const bool overlong = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xF0 && at(1) < 0x90);
  const bool surrogate = lead == 0xED && at(1) > 0x9F;
  const bool too_large = lead == 0xF4 && at(1) > 0x8F;
  if (overlong || surrogate || too_large || !IsContinuation(at(2))) return 0;
  if (lead < 0xF0) return 3;
  return IsContinuation(at(3)) ? 4 : 0;
}

bool IsControl(std::string_view character) {
  const uint8_t first = static_cast<uint8_t>(character[0]);
  return first < 0x20 || first == 0x7F || (first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0);
}

}  // namespace

std::string SafeText(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = WellFormedLength(bytes);
    const std::string_view character = bytes.substr(0, length == 0 ? 1 : length);
    text += length == 0 || IsControl(character) ? std::string_view("\xEF\xBF\xBD") : character;
    bytes.remove_prefix(character.size());
  }
  return text;
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  digits.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const uint8_t byte = static_cast<uint8_t>(c);
    digits += kDigits[byte >> 4];
    digits += kDigits[byte & 15];
  }
  return digits;
}

}  // namespace cgoprof
