// A program that brings its own malloc, whose calls are bound to it for good: own_malloc LIBRARY
#include "attach_self.h"

extern "C" {
void* __libc_malloc(size_t size);
void __libc_free(void* block);
void* malloc(size_t size) { return __libc_malloc(size); }
void free(void* block) { __libc_free(block); }
}

int main(int, char** argv) {
  attach_self::Load(argv);
  puts(attach_self::Act(cgoprof::kAttachAction, 1).failure);
  fflush(stdout);
  _exit(0);
}
