// A call site in one word, so that a slot of the unwinder's cache takes it at once; laid out for the loop that walks
// from that cache, which has each part of it in one to three instructions.
//
//     module 16 | kind 4 | FP is saved 1 | FP offset / 8: 11 | CFA offset 32
//
// The module lies where a frame word has it.
#ifndef CGOPROF_PRELOAD_CALL_SITE_H_
#define CGOPROF_PRELOAD_CALL_SITE_H_

#include <stdint.h>

#include "preload/cfi.h"
#include "shared/segment_layout.h"

namespace cgoprof {

// How to get from a frame to its caller, and the module that its PC lies in (0: none).
struct CallSite {
  FrameRule rule;
  uint32_t module_id;
};

class PackedCallSite {
 public:
  // Whether a rule can be had in this form; one that cannot is rare, and compiled at each use. Where the CFA is from
  // SP, the form promises that the frame goes up, and that the caller's FP was saved between SP and the return address.
  static bool Fits(const FrameRule& rule) {
    const bool fp_saved = rule.fp_offset != kFpUnchanged;
    if (rule.fp_offset % 8 != 0 || rule.fp_offset < -kFpLimit || rule.fp_offset >= kFpLimit) return false;
    if (rule.kind != FrameKind::kCfaFromSp) return true;
    if (rule.cfa_offset < 8 || rule.cfa_offset % 8 != 0) return false;
    return !fp_saved || (rule.fp_offset <= -16 && rule.fp_offset >= -rule.cfa_offset);
  }

  // `site`'s rule fits.
  explicit PackedCallSite(const CallSite& site)
      : word_(uint64_t{site.module_id} << kFramePcBits | static_cast<uint64_t>(site.rule.kind) << kKindShift |
              (site.rule.fp_offset != kFpUnchanged ? kFpSaved : 0) |
              (static_cast<uint64_t>(site.rule.fp_offset / 8) & kFpMask) << kFpShift |
              static_cast<uint32_t>(site.rule.cfa_offset)) {}
  explicit PackedCallSite(uint64_t word) : word_(word) {}

  uint64_t word() const { return word_; }
  CallSite Unpack() const { return {{kind(), cfa_offset(), static_cast<int32_t>(fp_offset())}, FrameModule(word_)}; }

  FrameKind kind() const { return static_cast<FrameKind>(word_ >> kKindShift & 15); }
  // kCfaFromSp alone has the highest bit of a kind.
  bool is_cfa_from_sp() const { return static_cast<int64_t>(word_ << (63 - kKindShift - 3)) < 0; }
  bool is_fp_saved() const { return (word_ & kFpSaved) != 0; }
  int32_t cfa_offset() const { return static_cast<int32_t>(word_); }
  int64_t fp_offset() const { return (static_cast<int64_t>(word_ << (64 - kFpSavedBit)) >> (64 - kFpBits)) * 8; }

  // The frame word of this PC, which has no bit above kFramePcMask.
  uint64_t FrameWord(uint64_t pc) const { return (word_ & ~kFramePcMask) | pc; }

 private:
  static constexpr int kFpShift = 32, kFpBits = 11, kFpSavedBit = kFpShift + kFpBits, kKindShift = kFpSavedBit + 1;
  static_assert(kKindShift + 4 == kFramePcBits);
  static constexpr uint64_t kFpMask = (1u << kFpBits) - 1;
  static constexpr int32_t kFpLimit = 8 << (kFpBits - 1);
  static constexpr uint64_t kFpSaved = uint64_t{1} << kFpSavedBit;
  static_assert(static_cast<int>(FrameKind::kCfaFromSp) == 8);

  uint64_t word_;
};

}  // namespace cgoprof

#endif  // CGOPROF_PRELOAD_CALL_SITE_H_
