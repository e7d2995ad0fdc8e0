// Allocates, and prints the word that the library left in the name of a mapping if it could not start.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  static const char mark[] = "cgoprof-failed-";
  char line[512];
  char word[64];
  for (int i = 0; i < 101; i++) {
    char* volatile block = calloc(1, 1009);
    if (block == NULL || block[1008] != 0) return 1;
    free(block);
  }
  FILE* maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) return 2;
  while (fgets(line, sizeof(line), maps) != NULL) {
    const char* found = strstr(line, mark);
    if (found != NULL && sscanf(found + strlen(mark), "%63[a-z-]", word) == 1) puts(word);
  }
  fclose(maps);
  return 0;
}
