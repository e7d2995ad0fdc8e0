// Stores to pages that are closed, that another thread closes meanwhile, and that are not there.
#include "preload/gathered_stores.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace cgoprof {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr uintptr_t kHeld = 1009, kValue = 1013, kNoAddress = uintptr_t{0} - 7919;

class Page {
 public:
  explicit Page(int protection) {
    void* const page = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    places_ = static_cast<uintptr_t*>(page);
    for (size_t i = 0; i < kPlaces; i++) places_[i] = kHeld;
    Protect(protection);
  }
  ~Page() { munmap(places_, kPageBytes); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  void Protect(int protection) const { EXPECT_EQ(mprotect(places_, kPageBytes, protection), 0); }
  uintptr_t* place(size_t i) const { return &places_[i]; }

  // As /proc/self/maps has it.
  std::string Rights() const {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      uintptr_t start, end;
      char dash;
      std::string rights;
      std::istringstream(line) >> std::hex >> start >> dash >> end >> rights;
      if (reinterpret_cast<uintptr_t>(places_) >= start && reinterpret_cast<uintptr_t>(places_) < end) return rights;
    }
    return "";
  }

  static constexpr size_t kPlaces = kPageBytes / sizeof(uintptr_t);

 private:
  uintptr_t* places_;
};

TEST(GatheredStores, LeaveEveryPageAsItWas) {
  for (const int protection : {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}) {
    const Page page(protection);
    const std::string rights = page.Rights();
    GatheredStores stores;
    for (size_t i = 0; i < Page::kPlaces; i += 2) stores.Add(page.place(i), kHeld, i % 4 == 0 ? kValue : kNoAddress);
    EXPECT_TRUE(stores.Flush());
    EXPECT_EQ(stores.done(), Page::kPlaces / 2);
    EXPECT_EQ(page.Rights(), rights);
    for (size_t i = 0; i < Page::kPlaces; i++)
      EXPECT_EQ(*page.place(i), i % 2 == 1 ? kHeld : (i % 4 == 0 ? kValue : kNoAddress)) << i;
  }
}

TEST(GatheredStores, LeaveAloneWhatHoldsAnotherValueByNow) {
  const Page page(PROT_READ | PROT_WRITE);
  GatheredStores stores;
  stores.Add(page.place(0), kHeld, kValue);
  *page.place(0) = 1019;
  EXPECT_TRUE(stores.Flush());
  EXPECT_EQ(stores.done(), 0u);
  EXPECT_EQ(*page.place(0), 1019u);
}

TEST(GatheredStores, EndWithTheFirstThatCannotBeDone) {
  const Page page(PROT_READ);
  uintptr_t* gone;
  {
    const Page unmapped(PROT_READ);
    gone = unmapped.place(0);
  }
  GatheredStores stores;
  stores.Add(page.place(0), kHeld, kValue);
  stores.Add(gone, kHeld, kValue);
  stores.Add(page.place(1), kHeld, kValue);
  EXPECT_FALSE(stores.Flush());
  stores.Add(page.place(2), kHeld, kValue);
  EXPECT_FALSE(stores.Flush());
  EXPECT_EQ(*page.place(0), kValue);
  EXPECT_EQ(*page.place(1), kHeld);
  EXPECT_EQ(*page.place(2), kHeld);
  EXPECT_EQ(page.Rights(), "r--p");
}

// As the loader does with a library that another thread loads.
TEST(GatheredStores, DoNotFaultWhereAnotherThreadClosesThePage) {
  const Page page(PROT_READ | PROT_WRITE);
  std::atomic<bool> done = false;
  std::thread loader([&] {
    while (!done) {
      page.Protect(PROT_READ);
      page.Protect(PROT_READ | PROT_WRITE);
    }
  });
  uintptr_t held = kHeld;
  for (int round = 0; round < 503; round++) {
    GatheredStores stores;
    for (size_t i = 0; i < 64; i++) stores.Add(page.place(i), *page.place(i), held + 1);
    const bool all = stores.Flush();
    held++;
    for (size_t i = 0; all && i < 64; i++) EXPECT_EQ(*page.place(i), held);
  }
  done = true;
  loader.join();
}

}  // namespace
}  // namespace cgoprof
