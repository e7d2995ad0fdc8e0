// A library's file is overwritten in place (cp over it) while the program has it mapped, and does not use it any more:
// attach_overwritten LIBRARY PLUGIN CONTENTS before|between
#include <fcntl.h>

#include "attach_self.h"

using namespace attach_self;

static void* filled[101];
static void* later[53];

static void Overwrite(const char* path, const char* contents) {
  const int from = open(contents, O_RDONLY), to = open(path, O_WRONLY | O_TRUNC);
  if (from < 0 || to < 0) _exit(97);
  char part[4096];
  for (ssize_t n; (n = read(from, part, sizeof(part))) > 0;) {
    if (write(to, part, static_cast<size_t>(n)) != n) _exit(96);
  }
  close(from);
  close(to);
}

int main(int, char** argv) {
  Load(argv);
  const bool before = strcmp(argv[4], "before") == 0;
  if (dlopen(argv[2], RTLD_NOW) == nullptr) _exit(95);
  if (before) Overwrite(argv[2], argv[3]);
  Attach();
  if (!before) Overwrite(argv[2], argv[3]);
  Fill(filled, 1013);
  Detach();
  Attach();
  Fill(later, 1019);
  _exit(0);
}
