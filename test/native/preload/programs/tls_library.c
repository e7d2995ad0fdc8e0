// A library with thread-local storage that the loader allocates when a thread first touches it: with malloc.
#include <stdlib.h>

static __thread char room[1009];

void* tls_library_use(int i) {
  room[i % (int)sizeof(room)]++;
  char* volatile p = malloc(4007);
  p[0] = room[i % (int)sizeof(room)];
  return p;
}
