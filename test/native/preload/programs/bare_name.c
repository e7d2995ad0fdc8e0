// Uses a library that its opener finds by the opener's RUNPATH: bare_name OPENER
#include <dlfcn.h>
#include <stddef.h>

int main(int argc, char** argv) {
  void* opener = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (opener == NULL) return 2;
  void* (*open_by_bare_name)(void) = (void* (*)(void))dlsym(opener, "open_by_bare_name");
  int (*close_again)(void*) = (int (*)(void*))dlsym(opener, "close_again");
  if (open_by_bare_name == NULL || close_again == NULL) return 3;
  for (int i = 0; i < 17; i++) {
    void* plugin = open_by_bare_name();
    if (plugin == NULL) return 4;
    void* (*leak)(void) = (void* (*)(void))dlsym(plugin, "unloadable_leak");
    if (leak == NULL || leak() == NULL) return 5;
    if (close_again(plugin) != 0) return 6;
  }
  // Who is not the opener does not find it.
  return dlopen("unloadable_twin.so", RTLD_NOW) != NULL ? 7 : 0;
}
