// Address ranges that carry a value, found by an address inside them: compilation units, functions, symbols.
#ifndef CGOPROF_ADDON_RANGE_INDEX_H_
#define CGOPROF_ADDON_RANGE_INDEX_H_

#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace cgoprof {

// Filled with Add, then Seal, then asked. Ranges may overlap (functions that the linker discarded keep ranges near 0,
// and aliases share theirs), so a look-up visits every range that contains the address.
template <typename Value>
class RangeIndex {
 public:
  // [low, high); an empty range is ignored.
  void Add(uint64_t low, uint64_t high, Value value) {
    if (low < high) ranges_.push_back({low, high, 0, std::move(value)});
  }

  void Seal() {
    std::stable_sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.low < b.low; });
    uint64_t reach = 0;
    for (Range& range : ranges_) range.reach = reach = std::max(reach, range.high);
  }

  size_t size() const { return ranges_.size(); }

  // Calls visit(value) for the ranges that contain `address`, the nearest start first and among equal starts the last
  // one added first, until visit returns true. Returns whether it did.
  template <typename Visit>
  bool Find(uint64_t address, Visit visit) const {
    auto next = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                 [](uint64_t wanted, const Range& range) { return wanted < range.low; });
    // Overlaps of honest files are shallow; a made-up one must not turn each look-up into a scan.
    for (int looks = 0; next != ranges_.begin() && looks < kMaxLooks; ++looks) {
      --next;
      if (next->reach <= address) return false;
      if (address < next->high && visit(next->value)) return true;
    }
    return false;
  }

 private:
  static constexpr int kMaxLooks = 64;

  struct Range {
    uint64_t low;
    uint64_t high;
    uint64_t reach;  // the highest end of this range and of all before it
    Value value;
  };

  std::vector<Range> ranges_;
};

}  // namespace cgoprof

#endif  // CGOPROF_ADDON_RANGE_INDEX_H_
