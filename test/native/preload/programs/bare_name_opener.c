// A library that opens another by its bare name. The loader finds it by this library's RUNPATH, $ORIGIN/plugins: it
// looks at who calls dlopen, and it must not see us there.
#include <dlfcn.h>

void* open_by_bare_name(void) {
  void* volatile library = dlopen("unloadable_twin.so", RTLD_NOW);  // volatile: a call, not a jump at the end
  return library;
}
int close_again(void* library) { return dlclose(library); }
