// What /proc and the memory of another process say.
#include "addon/remote_process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "addon/attach_library.h"
#include "addon/remote_image.h"
#include "shared/attach_mailbox.h"

namespace cgoprof {
namespace {

TEST(Mappings, AreReadLineByLine) {
  const auto mappings = ParseMappings(
      "55d0c0000000-55d0c0001000 r-xp 00002000 fe:01 1234                       /usr/bin/a b (deleted) (deleted)\n"
      "7f0000000000-7f0000001000 rw-s 00000000 00:00 0 \n"
      "nonsense\n"
      "2000-1000 rw-p 0 00:00 0\n"
      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]");
  ASSERT_EQ(mappings.size(), 3u);
  EXPECT_EQ(mappings[0].path, "/usr/bin/a b (deleted)");
  EXPECT_EQ(mappings[0].start, 0x55d0c0000000u);
  EXPECT_EQ(mappings[0].offset, 0x2000u);
  EXPECT_EQ(mappings[0].inode, 1234u);
  EXPECT_TRUE(mappings[0].readable && mappings[0].executable && !mappings[0].writable);
  EXPECT_EQ(mappings[1].path, "");
  EXPECT_TRUE(mappings[1].writable);
  EXPECT_EQ(mappings[2].path, "[vsyscall]");
  EXPECT_EQ(FindMapping(mappings, 0x7f0000000fff), &mappings[1]);
  EXPECT_EQ(FindMapping(mappings, 0x7f0000001000), nullptr);
}

TEST(ParkedCall, IsReadUnlessTheThreadRuns) {
  const auto call = ParseParkedCall("202 0xc000100150 0x80 0x0 0x1 0x2 0xffff 0x7ffc0 0x45dd63\n");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->number, SYS_futex);
  EXPECT_EQ(call->arguments[0], 0xc000100150u);
  EXPECT_EQ(call->arguments[5], 0xffffu);
  EXPECT_EQ(call->sp, 0x7ffc0u);
  EXPECT_EQ(call->pc, 0x45dd63u);
  EXPECT_FALSE(ParseParkedCall("running\n"));
  EXPECT_FALSE(ParseParkedCall("-1 0x7ffc0 0x45dd63\n"));
  EXPECT_FALSE(ParseParkedCall("202 0x1 0x2\n"));
  EXPECT_FALSE(ParseParkedCall(""));
}

TEST(RemoteProcess, SaysNothingOfOneThatIsNotThere) {
  const RemoteProcess process(0x7ffffffe);
  uint64_t word = 0;
  EXPECT_TRUE(process.Mappings().empty());
  EXPECT_TRUE(process.Threads().empty());
  EXPECT_EQ(process.Identity(), "");
  EXPECT_EQ(process.StatusField(1, "State"), "");
  EXPECT_FALSE(process.Parked(1));
  EXPECT_FALSE(process.Read(0x1000, &word));
}

TEST(RemoteProcess, ReadsThisOne) {
  const RemoteProcess process(getpid());
  EXPECT_NE(process.Identity(), "");
  EXPECT_EQ(process.StatusField(getpid(), "Tgid"), std::to_string(getpid()));
  const auto threads = process.Threads();
  EXPECT_NE(std::find(threads.begin(), threads.end(), getpid()), threads.end());
  uint64_t word = 4099, copy = 0;
  EXPECT_TRUE(process.Read(reinterpret_cast<uint64_t>(&word), &copy));
  EXPECT_EQ(copy, 4099u);
  EXPECT_TRUE(process.WriteMemory(reinterpret_cast<uint64_t>(&word), "\1\0\0\0\0\0\0", 8));
  EXPECT_EQ(word, 1u);
}

TEST(RemoteImage, FindsTheFunctionsThatTheLoaderFinds) {
  const RemoteProcess process(getpid());
  void* const libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);  // not what a sanitizer puts in front of it
  int found = 0;
  for (const RemoteImage& image : FindImages(process, process.Mappings())) {
    if (image.FindFunction("gnu_get_libc_version") == 0) continue;
    ++found;
    for (const char* name : {"pthread_create", "pthread_detach", "dlopen", "dlerror", "munmap", "getpid"}) {
      EXPECT_EQ(image.FindFunction(name), reinterpret_cast<uint64_t>(dlsym(libc, name))) << name;
    }
    EXPECT_EQ(image.FindFunction("no_such_function"), 0u);
    EXPECT_EQ(image.FindFunction(""), 0u);
  }
  EXPECT_EQ(found, 1);
}

TEST(RemoteImage, OfTheExecutableLeadsToTheLoadersList) {
  const RemoteProcess process(getpid());
  const std::vector<RemoteImage> images = FindImages(process, process.Mappings());
  const RemoteImage* const executable = FindExecutable(process, images);
  const auto* const first = static_cast<const link_map*>(dlopen(nullptr, RTLD_LAZY));
  ASSERT_NE(executable, nullptr);
  EXPECT_EQ(executable->bias(), first->l_addr);
  r_debug debug = {};
  ASSERT_TRUE(process.Read(executable->debug(), &debug));
  EXPECT_EQ(debug.r_map, first);
  EXPECT_FALSE(executable->IsDynamicSectionReadOnly());
  std::vector<RemoteImage> others = images;
  others.erase(others.begin() + (executable - images.data()));
  EXPECT_EQ(FindExecutable(process, others), nullptr);
  EXPECT_EQ(FindExecutable(RemoteProcess(0x7ffffffe), images), nullptr);
}

// An image whose tables lead nowhere, or round in circles, is one without functions.
TEST(RemoteImage, MayBeDamaged) {
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  char* const file = static_cast<char*>(mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  close(fd);
  ASSERT_NE(file, MAP_FAILED);
  RemoteMapping mapping;
  mapping.start = reinterpret_cast<uint64_t>(file);
  mapping.end = mapping.start + (1 << 16);
  const RemoteProcess process(getpid());
  for (int at = 4; at < 4096; at += 3) {
    const char before = file[at];
    file[at] = static_cast<char>(before ^ 0x5a);
    const auto image = RemoteImage::At(process, mapping);
    EXPECT_EQ(image ? image->FindFunction("no_such_function") : 0u, 0u) << "byte " << at;
    file[at] = before;
  }
  munmap(file, 1 << 16);
}

TEST(AttachLibrary, IsReadUpToItsLastSegment) {
  std::string why;
  const auto library = ReadAttachLibrary(STAND_IN_LIBRARY, &why);
  ASSERT_TRUE(library) << why;
  EXPECT_EQ(library->load_pages_offset % 4096, 0u);
  EXPECT_LT(library->load_entry, library->load_pages_bytes);
  EXPECT_NE(library->run_offset, 0u);
  EXPECT_LE(library->load_pages_offset, library->bytes.size());
  EXPECT_FALSE(ReadAttachLibrary(PARKED_PROGRAM, &why));
  EXPECT_EQ(why, "it is no library that can be attached");
  EXPECT_FALSE(ReadAttachLibrary("/nonexistent", &why));
}

}  // namespace
}  // namespace cgoprof
