// The module table against the loader: what is loaded, what is loaded later, what is gone.
#include "preload/modules.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>

#include "test_segment.h"

namespace cgoprof {
namespace {

class ModuleTableTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(segment_.created());
    table_->Init(segment_.writer());
  }
  std::string PathOf(const LoadedModule& module) {
    const Module& record = *segment_.writer()->At<Module>(kModules, module.segment_id - 1);
    return std::string(segment_.writer()->At<char>(kStrings, record.path), record.path_bytes);
  }
  TestSegment segment_;
  std::unique_ptr<ModuleTable> table_ = std::make_unique<ModuleTable>();
};

// The number that tests look for belongs to no program under test.
int marker() { return 20011; }

TEST_F(ModuleTableTest, FindsThisProgramAndItsLibraries) {
  const LoadedModule* self = table_->Find(reinterpret_cast<uintptr_t>(&marker));
  ASSERT_NE(self, nullptr);
  EXPECT_TRUE(self->is_executable);
  EXPECT_EQ(self, table_->executable());
  EXPECT_NE(self->cfi.hdr, 0u);
  EXPECT_NE(PathOf(*self).find("preload_parts_test"), std::string::npos);
  const LoadedModule* libc = table_->Find(reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")));
  ASSERT_NE(libc, nullptr);
  EXPECT_FALSE(libc->is_executable);
  EXPECT_NE(PathOf(*libc).find("libc.so"), std::string::npos);
  EXPECT_EQ(marker(), 20011);
}

TEST_F(ModuleTableTest, FindsALibraryThatWasLoadedLaterAndNoticesThatItIsGone) {
  // zlib's neighbour in every Debian: a library this program does not use.
  void* library = dlopen("libexpat.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) library = dlopen("libbz2.so.1.0", RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  void* function = dlsym(library, "XML_ParserCreate");
  if (function == nullptr) function = dlsym(library, "BZ2_bzCompress");
  ASSERT_NE(function, nullptr);
  const uintptr_t pc = reinterpret_cast<uintptr_t>(function);
  const LoadedModule* module = table_->Find(pc);
  ASSERT_NE(module, nullptr);
  const uint16_t generation = table_->generation();
  const uint32_t id = module->segment_id;

  ASSERT_EQ(dlclose(library), 0);
  table_->NoteUnload();
  table_->RefreshIfStale();
  EXPECT_EQ(table_->Find(pc), nullptr);
  EXPECT_NE(table_->generation(), generation);
  EXPECT_EQ(segment_.writer()->At<Module>(kModules, id - 1)->published, 1u) << "old stacks still need it";
}

TEST_F(ModuleTableTest, LooksOnlySoOftenForCodeThatBelongsToNoImage) {
  // What a JIT compiler makes.
  void* code = mmap(nullptr, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const uintptr_t start = reinterpret_cast<uintptr_t>(code);
  for (int i = 0; i < 100000; i++) EXPECT_EQ(table_->Find(start + static_cast<uintptr_t>(i % 256) * 4096), nullptr);
  munmap(code, 1 << 20);
}

TEST(ModuleTable, CountsImagesThatFindNoRoom) {
  SegmentCapacity capacity = kSmallCapacity;
  capacity.modules = 1;
  TestSegment segment(capacity);
  ASSERT_TRUE(segment.created());
  auto table = std::make_unique<ModuleTable>();
  table->Init(segment.writer());
  EXPECT_GT(segment.counter(kLostModules), 0u);
  const LoadedModule* libc = table->Find(reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")));
  ASSERT_NE(libc, nullptr) << "it can still be unwound through";
  EXPECT_EQ(libc->segment_id, 0u);
}

}  // namespace
}  // namespace cgoprof
