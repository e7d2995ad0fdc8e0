// Calls malloc and free, also through pointers that the loader fills in, and says how the pages of all files are
// protected. Built once for each way of linking: attach_pages LIBRARY
#include <dlfcn.h>

#include "attach_self.h"

using namespace attach_self;

static void* (*const volatile pointer)(size_t) = &malloc;
static void* blocks[101];

// The rights of the mappings of files, but those of the library, which is not there at first. What was opened for a
// while may be in pieces afterwards; pieces of equal rights side by side are one here.
struct Mappings {
  char text[1 << 16];
  size_t used;
};
static Mappings before, after;

static void Note(Mappings* mappings) {
  static char line[4096];
  char last_rights[8] = "", rights[8];
  unsigned long last_start = 0, last_end = 0, start, end;
  const auto add = [&] {
    if (last_end == 0) return;
    mappings->used +=
        static_cast<size_t>(snprintf(mappings->text + mappings->used, sizeof(mappings->text) - mappings->used,
                                     "%lx-%lx %s\n", last_start, last_end, last_rights));
  };
  mappings->used = 0;
  FILE* const maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof(line), maps) != nullptr) {
    if (strchr(line, '/') == nullptr || strstr(line, "/libcgoprof.so") != nullptr || strstr(line, ".seg") != nullptr)
      continue;
    sscanf(line, "%lx-%lx %7s", &start, &end, rights);
    if (start != last_end || strcmp(rights, last_rights) != 0) {
      add();
      last_start = start;
      strcpy(last_rights, rights);
    }
    last_end = end;
  }
  add();
  fclose(maps);
}

static bool IsAsBefore(const char* when) {
  Note(&after);
  if (before.used == after.used && memcmp(before.text, after.text, before.used) == 0) return true;
  printf("%s:\n%s\nbefore:\n%s\n", when, after.text, before.text);
  return false;
}

int main(int, char** argv) {
  Note(&before);  // what stdio does once is done
  Note(&before);
  Load(argv);
  Attach();
  if (!IsAsBefore("attached")) return 1;
  Fill(blocks, 1013);
  for (int i = 0; i < 11; i++) free(blocks[i]);
  for (int i = 0; i < 53; i++) blocks[i] = pointer(1019);
  Detach();
  if (!IsAsBefore("detached")) return 1;
  Fill(blocks, 1013);
  pointer(1019);
  fflush(stdout);
  _exit(0);
}
