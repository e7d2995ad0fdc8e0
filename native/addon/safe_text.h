// Bytes of a target made into text that is safe to hand to JavaScript and to print on a terminal.
#ifndef CGOPROF_ADDON_SAFE_TEXT_H_
#define CGOPROF_ADDON_SAFE_TEXT_H_

#include <string>
#include <string_view>

namespace cgoprof {

// `bytes` as valid UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates). Every byte that is not part of a
// well-formed character, and every control character (U+0000-U+001F, U+007F-U+009F), becomes U+FFFD.
std::string SafeText(std::string_view bytes);

// `bytes` as lower-case hexadecimal digits.
std::string Hex(std::string_view bytes);

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_SAFE_TEXT_H_
