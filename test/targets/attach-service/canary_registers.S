// canary_round: fills every register, does one raw system call or spins, and writes down what the registers hold then.
#include "canary_registers.h"

  .text
  .globl canary_round
  .type canary_round, @function
canary_round:
  .cfi_startproc
  push %rbx
  .cfi_adjust_cfa_offset 8
  push %rbp
  .cfi_adjust_cfa_offset 8
  push %r12
  .cfi_adjust_cfa_offset 8
  push %r13
  .cfi_adjust_cfa_offset 8
  push %r14
  .cfi_adjust_cfa_offset 8
  push %r15
  .cfi_adjust_cfa_offset 8
  mov %rdi, %r15
  mov %rsp, HELD + GENERAL + 7 * 8(%r15)
  mov %r15, HELD + GENERAL + 15 * 8(%r15)

  lea -128(%rsp), %rdi
  lea HELD + RED_ZONE(%r15), %rsi
  mov $16, %ecx
  cld
  rep movsq

  .irp n, 0, 1, 2, 3, 4, 5, 6, 7
  movq HELD + X87 + \n * 8(%r15), %mm\n
  .endr
  ldmxcsr HELD + MXCSR(%r15)
  cmpq $LEVEL_AVX, LEVEL(%r15)
  je .Lload_avx
  ja .Lload_avx512
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  movups HELD + VECTORS + \n * 64(%r15), %xmm\n
  .endr
  jmp .Lload_general
.Lload_avx:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  vmovdqu HELD + VECTORS + \n * 64(%r15), %ymm\n
  .endr
  jmp .Lload_general
.Lload_avx512:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  vmovdqu64 HELD + VECTORS + \n * 64(%r15), %zmm\n
  .endr
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7
  kmovw HELD + MASKS + \n * 8(%r15), %k\n
  .endr

.Lload_general:
  mov HELD + GENERAL + 0 * 8(%r15), %rax
  mov HELD + GENERAL + 1 * 8(%r15), %rbx
  mov HELD + GENERAL + 2 * 8(%r15), %rcx
  mov HELD + GENERAL + 3 * 8(%r15), %rdx
  mov HELD + GENERAL + 4 * 8(%r15), %rsi
  mov HELD + GENERAL + 5 * 8(%r15), %rdi
  mov HELD + GENERAL + 6 * 8(%r15), %rbp
  .irp n, 8, 9, 10, 11, 12, 13, 14
  mov HELD + GENERAL + \n * 8(%r15), %r\n
  .endr
  cmpq $0, CALLS(%r15)
  je .Lspin
  syscall
  jmp .Lstore
.Lspin:
  subq $1, SPINS(%r15)
  jnz .Lspin

.Lstore:
  mov %rax, SEEN + GENERAL + 0 * 8(%r15)
  mov %rbx, SEEN + GENERAL + 1 * 8(%r15)
  mov %rcx, SEEN + GENERAL + 2 * 8(%r15)
  mov %rdx, SEEN + GENERAL + 3 * 8(%r15)
  mov %rsi, SEEN + GENERAL + 4 * 8(%r15)
  mov %rdi, SEEN + GENERAL + 5 * 8(%r15)
  mov %rbp, SEEN + GENERAL + 6 * 8(%r15)
  mov %rsp, SEEN + GENERAL + 7 * 8(%r15)
  .irp n, 8, 9, 10, 11, 12, 13, 14, 15
  mov %r\n, SEEN + GENERAL + \n * 8(%r15)
  .endr
  cmpq $LEVEL_AVX, LEVEL(%r15)
  je .Lstore_avx
  ja .Lstore_avx512
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  movups %xmm\n, SEEN + VECTORS + \n * 64(%r15)
  .endr
  jmp .Lstore_rest
.Lstore_avx:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  vmovdqu %ymm\n, SEEN + VECTORS + \n * 64(%r15)
  .endr
  vzeroupper
  jmp .Lstore_rest
.Lstore_avx512:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  vmovdqu64 %zmm\n, SEEN + VECTORS + \n * 64(%r15)
  .endr
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7
  kmovw %k\n, SEEN + MASKS + \n * 8(%r15)
  .endr
  vzeroupper
.Lstore_rest:
  stmxcsr SEEN + MXCSR(%r15)
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7
  movq %mm\n, SEEN + X87 + \n * 8(%r15)
  .endr
  emms
  lea -128(%rsp), %rsi
  lea SEEN + RED_ZONE(%r15), %rdi
  mov $16, %ecx
  rep movsq
  movl $0x1f80, -4(%rsp)
  ldmxcsr -4(%rsp)

  pop %r15
  .cfi_adjust_cfa_offset -8
  pop %r14
  .cfi_adjust_cfa_offset -8
  pop %r13
  .cfi_adjust_cfa_offset -8
  pop %r12
  .cfi_adjust_cfa_offset -8
  pop %rbp
  .cfi_adjust_cfa_offset -8
  pop %rbx
  .cfi_adjust_cfa_offset -8
  ret
  .cfi_endproc
  .size canary_round, . - canary_round
  .section .note.GNU-stack, "", @progbits
