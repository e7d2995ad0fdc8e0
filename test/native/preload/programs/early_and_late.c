// Allocates before any constructor has run and frees after the last destructor, when libc gives back what it holds
// itself. A profiler that hands out blocks of its own until it is set up meets them again here.
#include <stdlib.h>
#include <string.h>

extern void __libc_freeres(void);

static char* moved;
static char* early;

static void before_constructors(void) {
  moved = malloc(1511);
  early = calloc(1, 1009);
  memset(moved, 'x', 1511);
}
__attribute__((section(".preinit_array"), used)) static void (*const at_start)(void) = before_constructors;

__attribute__((destructor(101))) static void after_destructors(void) {
  free(moved);
  free(early);
  __libc_freeres();
}

int main(void) {
  moved = realloc(moved, 3011);
  return moved == NULL || moved[1510] != 'x' || early[1008] != 0;
}
