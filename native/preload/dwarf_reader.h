// Reads the encodings of DWARF and .eh_frame from memory, never past a given end.
#ifndef CGOPROF_PRELOAD_DWARF_READER_H_
#define CGOPROF_PRELOAD_DWARF_READER_H_

#include <stdint.h>
#include <string.h>

namespace cgoprof {

// DW_EH_PE_*: how a pointer is written (low nibble) and what it is relative to (high).
inline constexpr uint8_t kPeAbsPtr = 0x00;
inline constexpr uint8_t kPeUData2 = 0x02;
inline constexpr uint8_t kPeUData4 = 0x03;
inline constexpr uint8_t kPeUData8 = 0x04;
inline constexpr uint8_t kPeSData2 = 0x0a;
inline constexpr uint8_t kPeSData4 = 0x0b;
inline constexpr uint8_t kPeSData8 = 0x0c;
inline constexpr uint8_t kPePcRel = 0x10;
inline constexpr uint8_t kPeOmit = 0xff;
inline constexpr uint8_t kPeSortedTable = 0x3b;  // data-relative sdata4: what every linker writes

// Reads forward within [p, end). A read past the end fails for good: ok turns false and values are 0.
class Reader {
 public:
  Reader(uintptr_t p, uintptr_t end) : p_(p), end_(end) {}
  bool ok() const { return ok_; }
  uintptr_t position() const { return p_; }
  uintptr_t remaining() const { return ok_ ? end_ - p_ : 0; }
  bool AtEnd() const { return !ok_ || p_ >= end_; }
  void Fail() { ok_ = false; }
  template <typename T>
  T Fixed() {
    T value{};
    if (remaining() < sizeof(T)) {
      ok_ = false;
      return value;
    }
    memcpy(&value, reinterpret_cast<const void*>(p_), sizeof(T));
    p_ += sizeof(T);
    return value;
  }
  void Skip(uint64_t bytes) {
    if (remaining() < bytes)
      ok_ = false;
    else
      p_ += bytes;
  }
  uint64_t Uleb() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Fixed<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  int64_t Sleb() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64;) {
      const uint8_t byte = Fixed<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 64) value |= ~uint64_t{0} << shift;
      return static_cast<int64_t>(value);
    }
    ok_ = false;
    return 0;
  }
  // A pointer in one of the encodings above; what it is relative to must be absolute or the field itself.
  uint64_t Pointer(uint8_t encoding) {
    const uintptr_t field = p_;
    uint64_t value = 0;
    switch (encoding & 0x0f) {
      case kPeAbsPtr:
      case kPeUData8:
      case kPeSData8:
        value = Fixed<uint64_t>();
        break;
      case kPeUData4:
        value = Fixed<uint32_t>();
        break;
      case kPeSData4:
        value = static_cast<uint64_t>(int64_t{Fixed<int32_t>()});
        break;
      case kPeUData2:
        value = Fixed<uint16_t>();
        break;
      case kPeSData2:
        value = static_cast<uint64_t>(int64_t{Fixed<int16_t>()});
        break;
      default:
        ok_ = false;
    }
    const uint8_t relative = encoding & 0xf0;
    if (relative == kPePcRel)
      value += field;
    else if (relative != 0)
      ok_ = false;
    return value;
  }

 private:
  uintptr_t p_;
  uintptr_t end_;
  bool ok_ = true;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_DWARF_READER_H_
