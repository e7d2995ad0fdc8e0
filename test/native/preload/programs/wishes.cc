// Writes into its own segment what a tool would, and a request where it has none:
// wishes SEGMENT_DIRECTORY
// (record|request)
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/segment_layout.h"

using namespace cgoprof;

constexpr size_t kRecheckBytes = 16 << 20;  // after which a thread that does not record looks again

static char path[1024];

// <directory>/<pid>-<start time>, and an ending.
static const char* Path(const char* directory, const char* ending) {
  char stat[1024] = {};
  const int fd = open("/proc/self/stat", O_RDONLY);
  if (read(fd, stat, sizeof(stat) - 1) <= 0) _exit(90);
  close(fd);
  const char* field = strrchr(stat, ')');
  for (int i = 2; i < 22; i++) field = strchr(field, ' ') + 1;
  snprintf(path, sizeof(path), "%s/%d-%llu%s", directory, getpid(), strtoull(field, nullptr, 10), ending);
  return path;
}

static void Write(const char* file, const void* bytes, size_t size, off_t offset, mode_t mode) {
  const int fd = open(file, O_WRONLY | O_CREAT, mode);
  if (fd < 0 || fchmod(fd, mode) != 0 || pwrite(fd, bytes, size, offset) != static_cast<ssize_t>(size)) _exit(91);
  close(fd);
}

static void Wish(const char* directory, SegmentWish wish) {
  const uint32_t value = wish;
  Write(Path(directory, ".seg"), &value, sizeof(value), offsetof(Header, wish), 0600);
}

static SegmentState StateOf(const char* directory) {
  Header header;
  const int fd = open(Path(directory, ".seg"), O_RDONLY);
  if (pread(fd, &header, sizeof(header), 0) != sizeof(header)) _exit(92);
  close(fd);
  return static_cast<SegmentState>(header.state);
}

static void* blocks[101];

static void Fill(size_t size) {
  for (void*& block : blocks) block = malloc(size);
}

static void Empty(int count) {
  for (int i = 0; i < count; i++) free(blocks[i]);
}

// Allocates until this thread has looked again.
static void Recheck() {
  void* volatile block = malloc(kRecheckBytes);
  free(block);
}

static int PauseAndGoOn(const char* directory) {
  Fill(1009);
  Wish(directory, kWishPause);
  if (StateOf(directory) != kStateRunning) return 1;
  Fill(1013);
  if (StateOf(directory) != kStatePaused) return 2;
  // What was recorded before is still seen to go.
  static void* before[7];
  for (void*& block : before) block = malloc(1019);
  Wish(directory, kWishRecord);
  Recheck();
  if (StateOf(directory) != kStateRunning) return 3;
  Fill(1021);
  Empty(11);
  return 0;
}

static void Request(const char* directory, const char* rate, mode_t mode) {
  Write(Path(directory, ".on"), rate, strlen(rate), 0, mode);
}

static int StartOnRequest(const char* directory) {
  mkdir(directory, 0700);
  Recheck();
  Fill(1009);
  Request(directory, "1\n", 0644);  // others may write it some day
  Recheck();
  if (access(Path(directory, ".seg"), F_OK) == 0) return 4;
  unlink(Path(directory, ".on"));
  Request(directory, "1\n", 0600);
  errno = 1009;
  Recheck();
  if (errno != 1009) return 5;
  if (access(Path(directory, ".on"), F_OK) == 0) return 6;
  if (StateOf(directory) != kStateRunning) return 7;
  Empty(17);
  Fill(1013);
  Empty(11);
  return 0;
}

// The word that the library leaves in the name of a mapping.
static int SayWhyNot(const char* directory) {
  static constexpr char kMark[] = "cgoprof-failed-";
  char line[4096], word[64];
  mkdir(directory, 0700);
  Request(directory, "1\n", 0600);
  Recheck();
  FILE* const maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof(line), maps) != nullptr) {
    const char* const found = strstr(line, kMark);
    if (found != nullptr && sscanf(found + strlen(kMark), "%63s", word) == 1) puts(word);
  }
  fclose(maps);
  fflush(stdout);
  return 0;
}

int main(int, char** argv) {
  const char* const what = argv[2];
  if (strcmp(what, "record") == 0) _exit(PauseAndGoOn(argv[1]));
  _exit(strcmp(what, "request") == 0 ? StartOnRequest(argv[1]) : SayWhyNot(argv[1]));
}
