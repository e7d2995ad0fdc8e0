// What looks like a Go program of Go 1.22 or later whose C code allocates, called from goroutines that cannot be
// walked: in turn, each thing that leads to a goroutine's frames is not what it should be. A real one would have to be
// damaged.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 64

struct goroutine {
  uintptr_t stack_low;
  uintptr_t stack_high;
};

// Switches to no other stack, but leaves the two words where runtime.asmcgocall leaves them.
void asmcgocall(void (*c_function)(void), const void* g, uintptr_t depth);
void asmcgocall_landingpad(void);

// The three functions by which the stacks of such a program are told, the table that names them, and the mark of a Go
// program; see go_functions.cc.
__asm__(
    "        .text\n"
    "        .balign 64\n"
    "go_text:\n"
    "asmcgocall:\n"
    "        sub     $24, %rsp\n"
    "        mov     %rdx, (%rsp)\n"
    "        mov     %rsi, 8(%rsp)\n"
    "        call    *%rdi\n"
    "        add     $24, %rsp\n"
    "        ret\n"
    "asmcgocall_landingpad:\n"
    "        ret\n"
    "        ret\n"
    "cgocall:\n"
    "        ret\n"
    "go_text_end:\n"

    "        .section .gopclntab, \"aw\"\n"
    "        .balign 32\n"
    "table:  .long   0xfffffff1\n"
    "        .byte   0, 0, 1, 8\n"
    "        .quad   3, 0, go_text, names - table, 0, 0, names - table, rows - table\n"
    "names:  .asciz  \"runtime.asmcgocall\"\n"
    "pad:    .asciz  \"runtime.asmcgocall_landingpad\"\n"
    "call:   .asciz  \"runtime.cgocall\"\n"
    "rows:   .long   asmcgocall - go_text, first - rows\n"
    "        .long   asmcgocall_landingpad - go_text, second - rows\n"
    "        .long   cgocall - go_text, third - rows\n"
    "        .long   go_text_end - go_text\n"
    "first:  .long   0, 0, 0, 0, 0\n"
    "second: .long   0, pad - names, 0, 0, 0\n"
    "third:  .long   0, call - names, 0, 0, 0\n"

    "        .section .go.buildinfo, \"aw\"\n"
    "        .quad   0\n"
    "        .text\n");

int main(void);
static void* volatile keep;
__attribute__((noinline)) static void allocate_lost(void) { keep = malloc(1511); }
__attribute__((noinline)) static void allocate(void) { keep = malloc(3011); }

// The goroutine's stack is the second third.
static uintptr_t memory[3 * WORDS];
static uintptr_t* const low = memory + WORDS;
static uintptr_t* const high = memory + 2 * WORDS;
static struct goroutine g;

static void put_frame(uintptr_t* at, const uintptr_t* caller, uintptr_t pc) {
  at[0] = (uintptr_t)caller;
  at[1] = pc;
}

static uintptr_t in_go(void) { return (uintptr_t)&asmcgocall_landingpad + 1; }

// Makes a goroutine with two frames. Returns their depth.
static uintptr_t make_goroutine(void) {
  g.stack_low = (uintptr_t)low;
  g.stack_high = (uintptr_t)high;
  put_frame(high - 8, high - 4, in_go());
  put_frame(high - 4, NULL, in_go());
  return 8 * sizeof(*high);
}

static void lose(const void* goroutine, uintptr_t depth) {
  asmcgocall(allocate_lost, goroutine, depth);
  make_goroutine();
}

static void lose_the_goroutine(uintptr_t depth) {
  _Alignas(8) char odd[1 + sizeof(g)];
  memcpy(odd + 1, &g, sizeof(g));
  lose(odd + 1, depth);
  lose((const void*)16, depth);  // no memory
}

static void lose_its_stack(uintptr_t depth) {
  g.stack_low = 16;  // larger than any
  lose(&g, depth);
  put_frame(high - 1, NULL, in_go());
  lose(&g, sizeof(*high));
  put_frame(low - 8, NULL, in_go());
  lose(&g, (WORDS + 8) * sizeof(*high));
}

static void lose_its_frames(uintptr_t depth) {
  put_frame(high - 8, NULL, (uintptr_t)&main);
  lose(&g, depth);
  put_frame(high - 4, NULL, (uintptr_t)&main);
  lose(&g, depth);
  put_frame(high - 8, high - 16, in_go());  // callers do not lie further down
  put_frame(high - 16, NULL, in_go());
  lose(&g, depth);
  put_frame(high - 8, high + 8, in_go());
  put_frame(high + 8, NULL, in_go());
  lose(&g, depth);
}

int main(void) {
  const uintptr_t depth = make_goroutine();
  asmcgocall(allocate, &g, depth);
  asmcgocall(allocate, NULL, (uintptr_t)high);  // on a thread's own stack
  lose_the_goroutine(depth);
  lose_its_stack(depth);
  lose_its_frames(depth);
  return 0;
}
