// Allocates before the library is attached, while it is, after it was detached, and when it is attached again: what is
// in the segment is known to the block. Says what the allocator has in use right after the last attachment.
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>

#include "attach_self.h"
#include "shared/segment_layout.h"

using namespace attach_self;

static void* before[101];
static void* during[103];
static void* between[107];
static void* again[109];

// What a tool does first of all that wants it detached.
static void WishPause(const char* segment) {
  const uint32_t pause = cgoprof::kWishPause;
  const int fd = open(segment, O_WRONLY);
  if (pwrite(fd, &pause, sizeof(pause), offsetof(cgoprof::Header, wish)) != sizeof(pause)) _exit(90);
  close(fd);
}

int main(int, char** argv) {
  Load(argv);
  Fill(before, 1009);
  const AttachMailbox& first = Act(cgoprof::kAttachAction, 1);
  for (int i = 0; i < 50; i++) free(before[i]);
  Fill(during, 1013);
  for (int i = 0; i < 11; i++) free(during[i]);
  during[11] = realloc(during[11], 2027);
  before[50] = realloc(before[50], 2029);
  WishPause(first.segment);
  for (int i = 51; i < 54; i++) before[i] = malloc(1031);
  Detach();
  for (int i = 12; i < 17; i++) free(during[i]);
  Fill(between, 1019);
  Attach();
  const struct mallinfo2 account = mallinfo2();
  Fill(again, 1021);
  for (int i = 0; i < 7; i++) free(between[i]);
  for (int i = 17; i < 20; i++) free(during[i]);
  for (int i = 0; i < 13; i++) free(again[i]);
  printf("%zu\n", account.uordblks + account.hblkhd);
  fflush(stdout);
  _exit(0);
}
