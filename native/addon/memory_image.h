// The initialized memory of an ELF image, by virtual address, as the loader would lay it out at bias 0: what Go's
// runtime tables are read from. Also made from plain bytes, by tests and fuzzers.
#ifndef CGOPROF_ADDON_MEMORY_IMAGE_H_
#define CGOPROF_ADDON_MEMORY_IMAGE_H_

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "addon/elf_file.h"

namespace cgoprof {

class MemoryImage {
 public:
  struct Segment {
    uint64_t address;
    std::string bytes;
  };

  // Reads the PT_LOAD segments and the relative relocations of `file`. What cannot be read is left out.
  static MemoryImage Load(const ElfFile& file);

  void AddSegment(uint64_t address, std::string bytes);

  // The loader stores `value` (plus the bias) at `place`. In position-independent images the bytes of the file often do
  // not hold it. To be called in any order, before the first look-up.
  void AddRelocation(uint64_t place, uint64_t value) { relocations_.emplace_back(place, value); }
  void SealRelocations();

  const std::vector<Segment>& segments() const { return segments_; }

  // The bytes from `address` to the end of its segment; '' when it lies in none.
  std::string_view From(uint64_t address) const;

  // The 8-byte pointer at `address` after relocation. False when that is not within a segment.
  bool ReadPointer(uint64_t address, uint64_t* value) const;

  // Up to `limit` 8-byte-aligned places that hold the pointer `value` after relocation.
  std::vector<uint64_t> PlacesOf(uint64_t value, size_t limit) const;

 private:
  std::vector<Segment> segments_;
  std::vector<std::pair<uint64_t, uint64_t>> relocations_;  // (place, value), sorted
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_MEMORY_IMAGE_H_
