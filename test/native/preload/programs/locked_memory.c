// Locks all its memory, present and future, as services with secrets do. (Where the limit does not allow it, it just
// goes on.)
#include <stdlib.h>
#include <sys/mman.h>

static void* volatile keep;

int main(void) {
  mlockall(MCL_CURRENT | MCL_FUTURE);
  for (int i = 0; i < 101; i++) keep = malloc(1709);
  return keep == NULL;
}
