// A library for stack_memo_test.cc: calls the function that its argument points at, from a frame of FRAME_BYTES. Built
// with two sizes it gives files in which every instruction has the same place. Below the larger frame's return address
// stands a copy of it where the smaller frame has its own, so that the rule of one leads on in the other, to a wrong end.
        .text
        .globl  call_through
        .type   call_through, @function
call_through:
        .cfi_startproc
        sub     $FRAME_BYTES, %rsp
        .cfi_adjust_cfa_offset FRAME_BYTES
        mov     FRAME_BYTES(%rsp), %rax
        mov     %rax, 24(%rsp)
        call    *(%rdi)
        add     $FRAME_BYTES, %rsp
        .cfi_adjust_cfa_offset -FRAME_BYTES
        ret
        .cfi_endproc
        .size   call_through, . - call_through
        .section .note.GNU-stack, "", @progbits
