// Allocations at the end of unusual stacks: very deep, on a coroutine, on a signal stack, from an exit handler.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

static void* volatile keep;
static ucontext_t back, coroutine;
static char coroutine_stack[64 << 10];
static char signal_stack[64 << 10];

__attribute__((noinline)) static int deep(int n) {
  volatile char room[32];
  room[n % 32] = 1;
  if (n == 0)
    keep = malloc(1511);
  else
    deep(n - 1);
  return room[n % 32];
}

__attribute__((noinline)) static void in_coroutine(void) {
  keep = malloc(3011);
  swapcontext(&coroutine, &back);
}

__attribute__((noinline)) static void in_handler(int signal) {
  (void)signal;
  keep = malloc(6011);
}

__attribute__((noinline)) static void at_exit(void) { keep = malloc(12007); }

int main(void) {
  atexit(at_exit);
  deep(40);
  deep(1000);
  getcontext(&coroutine);
  coroutine.uc_stack.ss_sp = coroutine_stack;
  coroutine.uc_stack.ss_size = sizeof(coroutine_stack);
  makecontext(&coroutine, in_coroutine, 0);
  swapcontext(&back, &coroutine);
  stack_t alternative = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
  sigaltstack(&alternative, NULL);
  struct sigaction action = {0};
  action.sa_handler = in_handler;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  return 0;
}
