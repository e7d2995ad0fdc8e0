// Fragments leaves its C allocator with much memory that is not in use and cannot be given back: of many small blocks it
// frees all but a few, which lie between the others.
//
// It prints "pid N" and "ready", and for every line of its input "account SYS RELEASED FREE" and "done": bytes that Go's
// runtime has from the system and has given back of them, as go_memstats_sys_bytes and go_memstats_heap_released_bytes of
// Prometheus' client for Go, and bytes that malloc holds and nobody uses. It ends with its input.
package main

// #cgo CFLAGS: -O2 -g
// #include "fragments.h"
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

var held []byte

func main() {
	C.fragment()
	held = make([]byte, 32<<20)
	for i := range held {
		held[i] = 1
	}
	fmt.Printf("pid %d\nready\n", os.Getpid())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		fmt.Printf("account %d %d %d\ndone\n", stats.Sys, stats.HeapReleased, uint64(C.unused()))
	}
	runtime.KeepAlive(held)
}
