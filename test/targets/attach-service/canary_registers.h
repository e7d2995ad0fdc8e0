// The registers that a canary holds, in memory: what canary_registers.S reads and writes by these offsets.
#ifndef CANARY_REGISTERS_H_
#define CANARY_REGISTERS_H_

#define GENERAL 0      // rax rbx rcx rdx rsi rdi rbp rsp r8 ... r15
#define VECTORS 128    // 32 of 64 bytes, of which the CPU's level has so many
#define MASKS 2176     // k0 ... k7
#define X87 2240       // mm0 ... mm7
#define RED_ZONE 2304  // the 128 bytes below the stack pointer
#define MXCSR 2432
#define REGISTERS_BYTES 2496

#define HELD 0
#define SEEN REGISTERS_BYTES
#define SPINS (2 * REGISTERS_BYTES)
#define LEVEL (2 * REGISTERS_BYTES + 8)
#define CALLS (2 * REGISTERS_BYTES + 16)

#define LEVEL_SSE 0
#define LEVEL_AVX 1
#define LEVEL_AVX512 2

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15 };

struct registers {
  uint64_t general[16];
  uint64_t vectors[32][8];
  uint64_t masks[8];
  uint64_t x87[8];
  uint64_t red_zone[16];
  uint64_t mxcsr;
  uint64_t unused[7];
};

struct held_and_seen {
  struct registers held;  // put into the registers; rsp and r15 are canary_round's own
  struct registers seen;  // found in them afterwards
  uint64_t spins;         // how often to go round instead of a system call; 0 afterwards
  uint64_t level;         // LEVEL_...
  uint64_t calls;         // whether to do the system call that rax and the others are set to
};

_Static_assert(offsetof(struct registers, vectors) == VECTORS && offsetof(struct registers, masks) == MASKS, "");
_Static_assert(offsetof(struct registers, x87) == X87 && offsetof(struct registers, red_zone) == RED_ZONE, "");
_Static_assert(offsetof(struct registers, mxcsr) == MXCSR && sizeof(struct registers) == REGISTERS_BYTES, "");
_Static_assert(offsetof(struct held_and_seen, spins) == SPINS && offsetof(struct held_and_seen, level) == LEVEL, "");
_Static_assert(offsetof(struct held_and_seen, calls) == CALLS, "");

// Holds them across one raw system call, or while it spins.
void canary_round(struct held_and_seen* state);
#endif

#endif  // CANARY_REGISTERS_H_
