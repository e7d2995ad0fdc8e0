// Fuzzes the segment reader. An input is a list of 12-byte patches (offset, 8 bytes) over a good segment, so that
// mutations reach every field without having to invent a whole file; a last, shorter piece cuts the file's end off.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "addon/segment_reader.h"
#include "segment_builder.h"

namespace cgoprof {
namespace {

std::string GoodSegment() {
  SegmentBuilder builder;
  Module module = {};
  module.flags = kModuleExecutable;
  builder.SetExePath("/srv/server");
  builder.AddModule(module, "/srv/server", "\x01\x02\x03");
  builder.AddModule(module, "/lib/libc.so.6", "\x04\x05\x06");
  builder.AddStack({MakeFrame(1, 0x1000), MakeFrame(2, 0x2000), MakeFrame(3, 0x3000)});
  for (uint16_t depth = 0; depth < 4; ++depth) {
    Bucket bucket = {};
    bucket.kind = kBucketHeap;
    bucket.depth = depth;
    bucket.published = 1;
    builder.AddBucket(bucket);
  }
  builder.AddLive({0x5000, 7919, 1, 0, 0});
  return builder.Build();
}

void Patch(const uint8_t* data, size_t size, std::string* file) {
  for (; size >= 12; data += 12, size -= 12) {
    uint32_t offset = 0;
    memcpy(&offset, data, sizeof(offset));
    memcpy(file->data() + offset % (file->size() - 7), data + 4, 8);
  }
  if (size >= 4) {
    uint32_t cut = 0;
    memcpy(&cut, data, sizeof(cut));
    file->resize(cut % (file->size() + 1));
  }
}

// What the header of segment_reader.h promises.
void Check(const Segment& segment) {
  bool known[UINT16_MAX + 1] = {true};
  for (const SegmentModule& module : segment.modules) known[module.id] = true;
  for (const uint16_t id : segment.frame_modules) {
    if (!known[id]) abort();
  }
  if (segment.frame_modules.size() != segment.frame_pcs.size()) abort();
  for (const SegmentBucket& bucket : segment.buckets) {
    if (bucket.depth > kMaxStackDepth) abort();
    if (size_t{bucket.first_frame} + bucket.depth > segment.frame_pcs.size()) abort();
    if (!(segment.stacks.at(bucket.stack) == SegmentStack{bucket.first_frame, bucket.depth})) abort();
  }
}

}  // namespace
}  // namespace cgoprof

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("segment", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  static const std::string good = cgoprof::GoodSegment();
  std::string file = good;
  cgoprof::Patch(data, size, &file);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, file.data(), file.size(), 0) != static_cast<ssize_t>(file.size())) abort();
  const cgoprof::SegmentReadResult result = cgoprof::ReadSegment(path.c_str());
  if (!result.error) cgoprof::Check(result.segment);
  return 0;
}
