#define _GNU_SOURCE
#include "forks.h"

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 101 };

extern char** environ;
static void* before[BLOCKS];
static void* volatile after[BLOCKS];  // volatile: never read, so the compiler would leave its mallocs out

void leak_before(void) {
  for (int i = 0; i < BLOCKS; i++) before[i] = malloc(1009);  // site: before
}

void leak_after(void) {
  for (int i = 0; i < BLOCKS; i++) after[i] = malloc(1013);  // site: after
}

static int wait_for(pid_t child) {
  int status = -1;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return status;
}

int fork_and_allocate(void) {
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 997; i++) {
      void* volatile block = malloc(1019);  // site: child
      (void)block;
    }
    for (int i = 0; i < BLOCKS; i++) free(before[i]);
    _exit(0);
  }
  return wait_for(child);
}

int fork_and_exit(void) {
  pid_t child = fork();
  if (child == 0) exit(0);
  return wait_for(child);
}

int fork_and_exec(const char* program) {
  pid_t child = fork();
  if (child == 0) {
    execl(program, program, (char*)NULL);
    _exit(127);
  }
  return wait_for(child);
}

int vfork_and_exec(const char* program) {
  pid_t child = vfork();
  if (child == 0) {
    execl(program, program, (char*)NULL);
    _exit(127);
  }
  return wait_for(child);
}

int spawn(const char* program) {
  char* argv[] = {(char*)program, NULL};
  pid_t child = -1;
  if (posix_spawn(&child, program, NULL, NULL, argv, environ)) return -1;
  return wait_for(child);
}
