// Segments made byte by byte for tests: valid unless a test damages them.
#ifndef CGOPROF_TEST_ADDON_SEGMENT_BUILDER_H_
#define CGOPROF_TEST_ADDON_SEGMENT_BUILDER_H_

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "shared/segment_layout.h"

namespace cgoprof {

// Collects records, then lays them out as the writer does: header, then every region from a page of its own. Each
// region's reserved and committed room is its used records rounded up to a page.
class SegmentBuilder {
 public:
  SegmentBuilder() {
    memcpy(header.magic, kMagic, sizeof(kMagic));
    header.abi_major = kAbiMajor;
    header.abi_minor = kAbiMinor;
    header.header_bytes = kHeaderBytes;
    header.sample_rate = 524288;
    header.region_count = kRegionCount;
    header.counter_count = kCounterCount;
    header.state = kStateRunning;
  }

  // Region entries are filled in by Build; everything else may be changed by a test.
  Header header = {};
  uint32_t strides[kRegionCount] = {
      sizeof(Module), 1, sizeof(uint32_t), sizeof(Bucket), sizeof(uint64_t), sizeof(uint32_t), sizeof(LiveEntry)};

  // All return the index of what was added.
  uint32_t AddString(std::string_view text) { return Append(kStrings, 1, text.data(), text.size()); }
  uint32_t AddBucket(const Bucket& bucket) { return Append(kBuckets, sizeof(bucket), &bucket, sizeof(bucket)); }
  uint32_t AddLive(const LiveEntry& entry) { return Append(kLiveEntries, sizeof(entry), &entry, sizeof(entry)); }
  uint32_t AddStack(const std::vector<uint64_t>& frames) {
    return Append(kStacks, sizeof(uint64_t), frames.data(), frames.size() * sizeof(uint64_t));
  }
  // Adds the two strings as well and publishes the module.
  uint32_t AddModule(Module module, std::string_view path, std::string_view build_id) {
    module.path = AddString(path);
    module.path_bytes = static_cast<uint32_t>(path.size());
    module.build_id = AddString(build_id);
    module.build_id_bytes = static_cast<uint32_t>(build_id.size());
    module.published = 1;
    return Append(kModules, sizeof(module), &module, sizeof(module));
  }

  void SetExePath(std::string_view path) {
    header.exe_path = AddString(path);
    header.exe_path_bytes = static_cast<uint32_t>(path.size());
  }

  // The file's bytes.
  std::string Build() const {
    Header laid_out = header;
    uint64_t end = kHeaderBytes;
    for (uint32_t id = 0; id < kRegionCount; ++id) {
      Region& region = laid_out.regions[id];
      region.offset = end;
      region.stride = strides[id];
      region.used = content_[id].size() / RecordBytes(id);
      const uint64_t bytes = std::max<uint64_t>(region.used * region.stride, 1);
      end += (bytes + kSegmentPage - 1) / kSegmentPage * kSegmentPage;
      region.capacity = (end - region.offset) / region.stride;
      region.committed = region.capacity;
    }
    laid_out.file_bytes = end;
    std::string file(end, '\0');
    memcpy(file.data(), &laid_out, sizeof(laid_out));
    for (uint32_t id = 0; id < kRegionCount; ++id) CopyRecords(id, laid_out.regions[id], &file);
    return file;
  }

 private:
  static uint32_t RecordBytes(uint32_t id) {
    constexpr uint32_t kRecordBytes[kRegionCount] = {
        sizeof(Module), 1, sizeof(uint32_t), sizeof(Bucket), sizeof(uint64_t), sizeof(uint32_t), sizeof(LiveEntry)};
    return kRecordBytes[id];
  }

  uint32_t Append(RegionId id, size_t record_bytes, const void* data, size_t bytes) {
    const auto index = static_cast<uint32_t>(content_[id].size() / record_bytes);
    content_[id].append(static_cast<const char*>(data), bytes);
    return index;
  }

  void CopyRecords(uint32_t id, const Region& region, std::string* file) const {
    const size_t copied = std::min(RecordBytes(id), region.stride);
    for (uint64_t i = 0; i < region.used; ++i) {
      file->replace(region.offset + i * region.stride, copied, content_[id], i * RecordBytes(id), copied);
    }
  }

  std::string content_[kRegionCount];
};

// What a test changes in built bytes.
inline Header* HeaderOf(std::string* file) { return reinterpret_cast<Header*>(file->data()); }

template <typename Record>
Record* RecordOf(std::string* file, RegionId id, uint64_t index) {
  const Region& region = HeaderOf(file)->regions[id];
  return reinterpret_cast<Record*>(file->data() + region.offset + index * region.stride);
}

}  // namespace cgoprof

#endif  // CGOPROF_TEST_ADDON_SEGMENT_BUILDER_H_
