// A call site in a word says what it was made of, and the cache hands it out to nobody else.
#include "preload/call_site.h"

#include <gtest/gtest.h>

#include <memory>

#include "preload/call_site_cache.h"

namespace cgoprof {
namespace {

constexpr int32_t kMost = 0x7ffffff8;

void ExpectSame(const CallSite& found, const CallSite& site) {
  EXPECT_EQ(found.rule.kind, site.rule.kind);
  EXPECT_EQ(found.rule.cfa_offset, site.rule.cfa_offset);
  EXPECT_EQ(found.rule.fp_offset, site.rule.fp_offset);
  EXPECT_EQ(found.module_id, site.module_id);
}

TEST(PackedCallSite, UnpacksToWhatItWasMadeOf) {
  const FrameRule rules[] = {
      {FrameKind::kCfaFromSp, 8, kFpUnchanged}, {FrameKind::kCfaFromSp, 16, -16},
      {FrameKind::kCfaFromSp, kMost, -8192},    {FrameKind::kCfaFromFp, 16, -16},
      {FrameKind::kCfaFromFp, -kMost, 8184},    {FrameKind::kCfaFromSlot, -8, kFpUnchanged},
      {FrameKind::kEnd, 0, kFpUnchanged},       {FrameKind::kGoNoCfi, 0, kFpUnchanged},
  };
  for (const FrameRule& rule : rules) {
    ASSERT_TRUE(PackedCallSite::Fits(rule));
    for (const uint32_t module : {1u, 65535u}) {
      const PackedCallSite packed(CallSite{rule, module});
      ExpectSame(PackedCallSite(packed.word()).Unpack(), {rule, module});
      EXPECT_EQ(packed.is_cfa_from_sp(), rule.kind == FrameKind::kCfaFromSp);
      EXPECT_EQ(packed.is_fp_saved(), rule.fp_offset != kFpUnchanged);
      EXPECT_EQ(packed.FrameWord(0x7f0000001235), MakeFrame(module, 0x7f0000001235));
    }
  }
}

TEST(PackedCallSite, TakesNoFrameThatDoesNotGoUpOrKeepsFpElsewhere) {
  const FrameRule rules[] = {
      {FrameKind::kCfaFromSp, 0, kFpUnchanged},  {FrameKind::kCfaFromSp, -8, kFpUnchanged},
      {FrameKind::kCfaFromSp, 12, kFpUnchanged}, {FrameKind::kCfaFromSp, 16, -24},
      {FrameKind::kCfaFromSp, 16, -8},           {FrameKind::kCfaFromSp, 16, 8},
      {FrameKind::kCfaFromSp, 16384, -8200},     {FrameKind::kCfaFromFp, 16, -12},
      {FrameKind::kCfaFromFp, 16, 8192},
  };
  for (const FrameRule& rule : rules) EXPECT_FALSE(PackedCallSite::Fits(rule)) << rule.cfa_offset << rule.fp_offset;
}

TEST(CallSiteCache, FindsWhatWasPutForThatPcAndGeneration) {
  const std::unique_ptr<CallSiteCache> cache(new CallSiteCache());
  const CallSite site = {{FrameKind::kCfaFromSp, 48, -16}, 7};
  const uint64_t third = CallSiteCache::KeyOf(3);
  PackedCallSite found(0);
  EXPECT_FALSE(cache->Find(0x7f0000001235, third, &found));
  cache->Put(0x7f0000001235, third, PackedCallSite(site));
  ASSERT_TRUE(cache->Find(0x7f0000001235, third, &found));
  ExpectSame(found.Unpack(), site);
  EXPECT_FALSE(cache->Find(0x7f0000001235, CallSiteCache::KeyOf(4), &found));
  EXPECT_FALSE(cache->Find(0x7f0000001236, third, &found));
  // More than there is room for: its place is taken.
  for (uintptr_t pc = 1; pc < 100003; pc++) cache->Put(pc << 4, third, PackedCallSite(site));
  EXPECT_FALSE(cache->Find(0x7f0000001235, third, &found));
}

}  // namespace
}  // namespace cgoprof
