#include "memory.h"

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

// The blocks are a list, so that nothing here can take them for garbage.
static void** newest;

static void keep(void** block) {
  *block = newest;
  newest = block;
}

void hold(void) {
  for (int i = 0; i < 101; i++) keep(malloc(1009));  // site: held
}

void hold_in_child(void) {
  for (int i = 0; i < 107; i++) keep(malloc(1013));  // site: child
}

int spawn_child(const char* program, const char* argument, int input) {
  char* argv[] = {(char*)program, (char*)argument, NULL};
  posix_spawn_file_actions_t actions;
  pid_t child = -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (posix_spawnp(&child, program, &actions, NULL, argv, environ) != 0) child = -1;
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

int wait_for_child(int pid) {
  int status = -1;
  return waitpid(pid, &status, 0) == pid ? status : -1;
}
