//go:build cgo && !nocgo

package main

/*
#include <stdint.h>

static __attribute__((noinline)) uintptr_t c_address_of_call(void) {
	return (uintptr_t)__builtin_return_address(0) - 1;
}

static inline __attribute__((always_inline)) uintptr_t c_inlined(void) {
	volatile uintptr_t address = c_address_of_call();
	return address;
}

static __attribute__((noinline)) uintptr_t c_outer(void) { return c_inlined(); }
*/
import "C"

import "fmt"

// Prints an address within a call in C code: in c_inlined, which is inlined into c_outer.
func inC() { fmt.Printf("c %#x\n", uint64(C.c_outer())) }
