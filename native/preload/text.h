// The few string helpers that start-up needs, bounded and allocation-free.
#ifndef CGOPROF_PRELOAD_TEXT_H_
#define CGOPROF_PRELOAD_TEXT_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace cgoprof {

// Builds a NUL-terminated string in a caller's buffer; anything past its end is cut off and noted.
class TextBuilder {
 public:
  TextBuilder(char* buffer, size_t size) : buffer_(buffer), size_(size) { buffer_[0] = '\0'; }
  TextBuilder& Add(const char* text) {
    for (; *text != '\0'; text++) AddChar(*text);
    return *this;
  }
  TextBuilder& Add(uint64_t value) {
    char digits[20];
    int n = 0;
    do digits[n++] = static_cast<char>('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0) AddChar(digits[--n]);
    return *this;
  }
  bool ok() const { return ok_; }

 private:
  void AddChar(char c) {
    if (used_ + 1 >= size_) {
      ok_ = false;
      return;
    }
    buffer_[used_++] = c;
    buffer_[used_] = '\0';
  }
  char* buffer_;
  size_t size_;
  size_t used_ = 0;
  bool ok_ = true;
};

// The value of a digit in the given base (up to 16), or -1.
inline int DigitValue(char c, int base) {
  int value = -1;
  if (c >= '0' && c <= '9') value = c - '0';
  if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
  return value < base ? value : -1;
}

// Reads an unsigned number that ends where its digits end; *end is set behind it. False without a digit, or if it does
// not fit 64 bits.
inline bool ParseNumber(const char* text, int base, uint64_t* value, const char** end) {
  uint64_t result = 0;
  const char* p = text;
  for (int digit; (digit = DigitValue(*p, base)) >= 0; p++) {
    if (__builtin_mul_overflow(result, static_cast<uint64_t>(base), &result)) return false;
    if (__builtin_add_overflow(result, static_cast<uint64_t>(digit), &result)) return false;
  }
  *value = result;
  *end = p;
  return p != text;
}

inline const char* BaseName(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_TEXT_H_
