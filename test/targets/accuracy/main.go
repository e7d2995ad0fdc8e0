// Accuracy leaks known bytes through every way there is for C memory to be had. sites.json beside it says how many.
//
// With the argument exit-handlers it leaves by C's exit and not by exit_group as Go programs do: profilers that write
// what they have in an exit handler need that.
package main

/*
#cgo CFLAGS: -O2 -g -fomit-frame-pointer
#cgo CXXFLAGS: -O2 -g -fomit-frame-pointer
#cgo LDFLAGS: -ldl -lpthread -Wl,-rpath,$ORIGIN
#include <stdlib.h>
#include "sites.h"
void call_go(void);
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"unsafe"
)

func main() {
	C.leak_plain()
	C.leak_inlined()
	C.leak_calloc()
	C.leak_realloc_chain()
	C.leak_posix_memalign()
	C.leak_aligned_alloc()
	C.leak_strdup()
	C.leak_new()
	C.leak_new_array()
	C.leak_in_library()
	C.leak_in_pthread()
	C.leak_deep()
	C.free_on_other_thread()
	C.free_honestly()
	leakThroughCallback()
	leakCString()
	leakCMalloc()

	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	if len(os.Args) > 1 && os.Args[1] == "exit-handlers" {
		C.exit(0)
	}
}

func leakThroughCallback() {
	for i := 0; i < 179; i++ {
		C.call_go()
	}
}

//export goCallback
func goCallback() {
	C.leak_in_callback()
}

func leakCString() {
	text := strings.Repeat("g", 1097-1) // and the NUL
	for i := 0; i < 181; i++ {
		C.keep(unsafe.Pointer(C.CString(text))) // site: cstring
	}
}

func leakCMalloc() {
	for i := 0; i < 191; i++ {
		C.keep(C.malloc(1103)) // site: cmalloc
	}
}
