// Libraries that come and go around an attachment: attach_libraries LIBRARY EARLY LATE DEEP GONE
#include "attach_self.h"

using namespace attach_self;
using Make = void* (*)();

extern "C" void* mallocx(size_t size, int flags) __attribute__((weak));

static void* Open(const char* path, int flags) {
  void* const library = dlopen(path, flags);
  if (library != nullptr) return library;
  puts(dlerror());
  _exit(3);
}

static Make Find(void* library, const char* name) { return reinterpret_cast<Make>(dlsym(library, name)); }

static void Call(Make make, int times) {
  for (int i = 0; i < times; i++) make();
}

int main(int, char** argv) {
  Load(argv);
  void* const gone = Open(argv[5], RTLD_LAZY);
  const Make early = Find(Open(argv[2], RTLD_LAZY), "unloadable_leak");
  Attach();
  Call(early, 17);
  // A library that was patched goes, with it its pages.
  dlclose(gone);
  // Its constructor allocates as well.
  void* const late = Open(argv[3], RTLD_LAZY);
  Call(Find(late, "late_leak"), 19);
  void* const deep = Open(argv[4], RTLD_NOW | RTLD_DEEPBIND);
  const auto free_there = reinterpret_cast<void (*)(void*)>(dlsym(deep, "deep_bound_free"));
  const Make make_there = Find(deep, "deep_bound_make");
  Call(make_there, 23);
  for (int i = 0; i < 5; i++) free_there(make_there());
  // Whoever asks the loader gets the hook, and keeps it.
  const auto stored = reinterpret_cast<void* (*)(size_t)>(dlsym(RTLD_DEFAULT, "malloc"));
  const auto stored_free = reinterpret_cast<void (*)(void*)>(dlsym(RTLD_DEFAULT, "free"));
  void* const kept = stored(3001);
  stored(3001);
  Detach();
  Call(early, 1);
  Call(Find(late, "late_leak"), 1);
  Call(make_there, 1);
  stored(3001);
  stored_free(kept);
  const bool is_bare = dlsym(RTLD_DEFAULT, "malloc") == reinterpret_cast<void*>(&malloc) && stored != &malloc;
  Attach();
  Call(early, 2);
  Call(Find(late, "late_leak"), 2);
  Call(make_there, 2);
  stored(3001);
  printf("%d %d\n", is_bare, mallocx != nullptr);
  fflush(stdout);
  _exit(0);
}
