// Loads two copies of the library, as two tools may that cannot see each other, and has the second one attached and the
// first one detached: the first acts for both.
#include <stdio.h>

#include <string>

#include "attach_self.h"

using namespace attach_self;

static void* blocks[17];

int main(int, char** argv) {
  alarm(100);  // a deadlock ends here
  Load(argv);
  const Run first = run;
  const std::string copy = std::string(getenv("CGOPROF_DIR")) + "/copy.so";
  if (system(("cp " + std::string(argv[1]) + " " + copy).c_str()) != 0) return 97;
  char* arguments[] = {argv[0], const_cast<char*>(copy.c_str()), nullptr};
  Load(arguments);
  unlink(copy.c_str());
  if (run == first) return 96;
  Attach();
  Fill(blocks, 1033);
  run = first;
  Detach();
  Fill(blocks, 1039);
  _exit(0);
}
