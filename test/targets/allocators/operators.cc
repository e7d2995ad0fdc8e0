// Every operator new and delete of C++17, and malloc beside them: each on a line of its own, with a size of its own.
#include "operators.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#include <new>
#include <vector>

namespace {

constexpr int kRounds = 101;
// What is aligned has primes times that for its sizes: libstdc++ rounds others up before it asks for memory.
constexpr std::align_val_t kWide{128};
void* volatile escaped;  // keeps the compiler from leaving pairs of new and delete out

void* use(void* block) {
  escaped = block;
  return escaped;
}

// An object that a new-expression aligns by itself, and a delete-expression releases with its size and alignment.
struct alignas(128) Row {
  char cells[384];
};

}  // namespace

void keep_blocks() {
  for (int i = 0; i < kRounds; i++) {
    use(malloc(1009));                                 // site: malloc
    use(::operator new(2003));                         // site: new
    use(::operator new[](2011));                       // site: new-array
    use(::operator new(2017, std::nothrow));           // site: new-nothrow
    use(::operator new[](2027, std::nothrow));         // site: new-array-nothrow
    use(::operator new(2176, kWide));                  // site: new-aligned
    use(::operator new[](2432, kWide));                // site: new-array-aligned
    use(::operator new(2944, kWide, std::nothrow));    // site: new-aligned-nothrow
    use(::operator new[](3712, kWide, std::nothrow));  // site: new-array-aligned-nothrow
    use(new std::vector<char>(2069));                  // site: vector
  }
}

void release_blocks() {
  for (int i = 0; i < kRounds; i++) {
    free(use(malloc(3001)));                                                       // site: free
    ::operator delete(use(::operator new(3011)));                                  // site: plain
    ::operator delete[](use(::operator new[](3019)));                              // site: plain-array
    ::operator delete(use(::operator new(3023)), 3023);                            // site: sized
    ::operator delete[](use(::operator new[](3037)), 3037);                        // site: sized-array
    ::operator delete(use(::operator new(3041)), std::nothrow);                    // site: nothrow
    ::operator delete[](use(::operator new[](3049)), std::nothrow);                // site: nothrow-array
    ::operator delete(use(::operator new(3968, kWide)), kWide);                    // site: aligned
    ::operator delete[](use(::operator new[](4736, kWide)), kWide);                // site: aligned-array
    ::operator delete(use(::operator new(5248, kWide)), 5248, kWide);              // site: sized-aligned
    ::operator delete[](use(::operator new[](5504, kWide)), 5504, kWide);          // site: sized-aligned-array
    ::operator delete(use(::operator new(6016, kWide)), kWide, std::nothrow);      // site: aligned-nothrow
    ::operator delete[](use(::operator new[](6784, kWide)), kWide, std::nothrow);  // site: aligned-nothrow-array
    delete static_cast<Row*>(use(new Row));                                        // site: delete
  }
}

int fail_to_allocate() {
  int caught = 0;
  for (int i = 0; i < kRounds; i++) {
    try {
      use(::operator new(PTRDIFF_MAX));
    } catch (const std::bad_alloc&) {
      caught++;
    }
    if (::operator new(PTRDIFF_MAX, std::nothrow) == nullptr) caught++;
  }
  return caught == 2 * kRounds;
}

int use_plugin(const char* path) {
  void* const plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) return 0;
  const auto make = reinterpret_cast<std::vector<char>* (*)()>(dlsym(plugin, "plugin_make"));
  const auto unmake = reinterpret_cast<void (*)(std::vector<char>*)>(dlsym(plugin, "plugin_unmake"));
  for (int i = 0; i < kRounds; i++) {
    use(make());                          // site: plugin-kept
    delete make();                        // site: plugin-made
    unmake(new std::vector<char>(4001));  // site: plugin-unmade
  }
  return 1;
}
