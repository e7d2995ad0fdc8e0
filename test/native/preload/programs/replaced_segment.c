// While it is profiled, its segment gets another name, and a file of somebody else's takes the old one.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS 20011

static void* volatile kept;

static int find_segment(char* path) {
  char line[PATH_MAX + 128];
  FILE* maps = fopen("/proc/self/maps", "r");
  int found = 0;
  while (!found && fgets(line, sizeof(line), maps) != NULL) {
    found = strstr(line, ".seg\n") != NULL && sscanf(strchr(line, '/'), "%s", path) == 1;
  }
  fclose(maps);
  return found;
}

int main(void) {
  char path[PATH_MAX], moved[PATH_MAX + 16];
  if (!find_segment(path)) return 2;
  snprintf(moved, sizeof(moved), "%s.moved.seg", path);
  struct stat info;
  if (stat(path, &info) != 0 || rename(path, moved) != 0) return 3;
  // As long as the segment, so that a store at any of its offsets would find its place.
  const int other = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (other < 0 || ftruncate(other, info.st_size) != 0) return 4;
  for (int i = 0; i < BLOCKS; i++) kept = malloc(211);
  if (fstat(other, &info) != 0 || info.st_blocks != 0) return 5;
  return unlink(path) != 0;
}
