// Oracle does random operations of the malloc family on C threads and keeps books of its own about them: what a profile
// in exact mode has to agree with, line by line. `oracle OPERATIONS` does half of them, prints its books and "ready", waits
// for a line on standard input, does the other half, and prints and waits again.
//
// A row of the books: "site", its name, the blocks and bytes allocated there altogether, and those in use.
package main

// #cgo CFLAGS: -O2 -g -fomit-frame-pointer
// #cgo LDFLAGS: -lpthread
// #include "books.h"
import "C"

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strconv"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: oracle OPERATIONS")
	}
	operations, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	input := bufio.NewReader(os.Stdin)
	for _, half := range []uint64{operations / 2, operations - operations/2} {
		C.do_operations(C.uint64_t(half))
		printBooks()
		fmt.Printf("pid %d\nready\n", os.Getpid())
		_, _ = input.ReadString('\n')
	}
}

func printBooks() {
	for site := C.int(0); site < C.site_count(); site++ {
		book := C.book_of(site)
		inUse, inUseBytes := book.allocs-book.frees, book.alloc_bytes-book.free_bytes
		fmt.Println("site", C.GoString(C.site_name(site)), book.allocs, book.alloc_bytes, inUse, inUseBytes)
	}
}
