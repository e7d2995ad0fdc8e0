// Calls operator new and delete, new also through a pointer that the loader fills in, before and after the library is
// attached.
#include <new>

#include "attach_self.h"

using namespace attach_self;

static void* (*const volatile pointer)(size_t) = &operator new;
static void* volatile kept[101];

static void Make(int count, size_t size) {
  for (int i = 0; i < count; i++) kept[i] = operator new(size);
}

static void Delete(int count) {
  for (int i = 0; i < count; i++) operator delete(kept[i]);
}

int main(int, char** argv) {
  Load(argv);
  Make(7, 1009);
  Attach();
  Delete(7);
  Make(101, 1013);
  Delete(11);
  for (int i = 0; i < 53; i++) kept[i] = pointer(1019);
  Detach();
  Make(101, 1013);
  Delete(23);
  _exit(0);
}
