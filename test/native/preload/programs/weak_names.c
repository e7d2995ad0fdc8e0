// Says which functions of other allocators and of other C libraries are there. Programs ask so whether they run with
// one, and call what they find.
#include <stddef.h>
#include <stdio.h>

// clang-format off
#define NAMES(DO)                                                                                           \
  DO(cfree) DO(mallinfo2) DO(malloc_trim) DO(__malloc_hook) DO(__free_hook)                                 \
  DO(mallocx) DO(rallocx) DO(xallocx) DO(sallocx) DO(dallocx) DO(sdallocx) DO(nallocx) DO(mallctl)          \
  DO(je_malloc) DO(_rjem_malloc) DO(mi_malloc) DO(mi_free) DO(tc_malloc) DO(tc_free) DO(tc_new)             \
  DO(MallocExtension_GetNumericProperty) DO(MallocHook_AddNewHook) DO(malloc_size) DO(malloc_good_size)     \
  DO(reallocf) DO(freezero) DO(recallocarray)
// clang-format on

#define DECLARE(name) extern char name[] __attribute__((weak));
NAMES(DECLARE)

int main(void) {
#define SAY(name) printf("%s: %s\n", #name, name != NULL ? "there" : "not there");
  NAMES(SAY)
  return 0;
}
