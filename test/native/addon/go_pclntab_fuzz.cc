// Fuzzes the reader of Go's symbol table. An input is a format and a list of 12-byte patches (place, 8 bytes) over a
// good image, so that mutations reach every field without having to invent a whole table; a last, shorter piece cuts
// the table's end off.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <utility>
#include <vector>

#include "addon/go_pclntab.h"
#include "go_table_builder.h"

namespace cgoprof {
namespace {

MemoryImage PatchedImage(GoFormat format, const uint8_t* data, size_t size) {
  std::vector<MemoryImage::Segment> segments = SampleGoProgram(format).Image(kSampleTextBytes).segments();
  for (; size >= 12; data += 12, size -= 12) {
    uint32_t place = 0;
    memcpy(&place, data, sizeof(place));
    std::string& bytes = segments[(place >> 16) % segments.size()].bytes;
    memcpy(bytes.data() + (place & 0xffff) % (bytes.size() - 7), data + 4, 8);
  }
  if (size >= 4) {
    uint32_t cut = 0;
    memcpy(&cut, data, sizeof(cut));
    segments[0].bytes.resize(cut % (segments[0].bytes.size() + 1));
  }
  MemoryImage image;
  for (MemoryImage::Segment& segment : segments) image.AddSegment(segment.address, std::move(segment.bytes));
  return image;
}

}  // namespace
}  // namespace cgoprof

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cgoprof;
  if (size == 0) return 0;
  std::string why;
  const auto table = GoPclntab::FromMemory(PatchedImage(GoFormat(data[0] % 3), data + 1, size - 1), 0, 0, &why);
  if ((table == nullptr) == why.empty()) abort();
  if (!table) return 0;
  for (uint64_t offset = 0; offset < kSampleTextBytes; offset += 16) {
    const GoLocation location = table->Lookup(GoTableBuilder::kText + offset);
    if (location.lines.size() > 256) abort();
    if (location.kind == GoLocation::kNothing && !location.lines.empty()) abort();
  }
  return 0;
}
