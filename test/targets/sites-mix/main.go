// Sites-mix holds known bytes at many C functions, in blocks of 8 B to 8 MiB, again and again: what estimates and their
// intervals are measured by. Prints a row for each function and "ready", and then for every line on standard input frees
// everything, allocates it anew and prints "ready" again.
//
// A row: "site", the function's name, its size of blocks (0 for many sizes), and the blocks and bytes it holds.
package main

// #cgo CFLAGS: -O2 -g
// #include "sites.h"
import "C"

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	for site := C.int(0); site < C.site_count(); site++ {
		held := C.held_by(site)
		fmt.Println("site", C.GoString(held.function), held.size, held.blocks, held.bytes)
	}
	fmt.Printf("pid %d\n", os.Getpid())
	for input := bufio.NewScanner(os.Stdin); ; {
		C.allocate_all()
		fmt.Println("ready")
		if !input.Scan() {
			return
		}
		C.free_all()
	}
}
