// Lets floating-point exceptions raise SIGFPE, and watches their flags: the recorder's arithmetic must show in neither.
#define _GNU_SOURCE
#include <fenv.h>
#include <stdlib.h>

int main(void) {
  feclearexcept(FE_ALL_EXCEPT);
  for (int i = 0; i < 10000; i++) free(malloc(701));
  if (fetestexcept(FE_ALL_EXCEPT) != 0) return 1;
  feenableexcept(FE_INEXACT | FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW);
  for (int i = 0; i < 10000; i++) free(malloc(701));
  return 0;
}
