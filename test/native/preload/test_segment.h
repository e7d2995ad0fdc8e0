// A small segment for tests of what is kept in one.
#ifndef CGOPROF_TEST_PRELOAD_TEST_SEGMENT_H_
#define CGOPROF_TEST_PRELOAD_TEST_SEGMENT_H_

#include "preload/segment_writer.h"
#include "temp_dir.h"

inline constexpr cgoprof::SegmentCapacity kSmallCapacity = {16, 4096, 64, 1024, 16384, 64, 4096};

class TestSegment {
 public:
  explicit TestSegment(const cgoprof::SegmentCapacity& capacity = kSmallCapacity) {
    created_ = writer_.Create({dir_.path().c_str(), 1, 7, capacity});
  }
  ~TestSegment() {
    if (created_) writer_.Destroy();
  }
  bool created() const { return created_; }
  cgoprof::SegmentWriter* writer() { return &writer_; }
  uint64_t counter(cgoprof::CounterId id) const { return writer_.header()->counters[id]; }

 private:
  TempDir dir_;
  cgoprof::SegmentWriter writer_;
  bool created_;
};

#endif  // CGOPROF_TEST_PRELOAD_TEST_SEGMENT_H_
