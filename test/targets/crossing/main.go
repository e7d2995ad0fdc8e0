// Crossing allocates in C under every nesting of Go and C frames that a stack walk must get through.
//
// Prints what it did as one line of JSON (see expect.go), then "ready", then waits for a line on standard input.
package main

// #cgo CFLAGS: -O2 -g -fomit-frame-pointer
// #cgo LDFLAGS: -lpthread
// #include <stdlib.h>
// #include "crossing.h"
import "C"

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"unsafe"
)

const (
	goroutines = 7
	rounds     = 13
	levels     = 3
	cDepth     = 23
	goDepth    = 11
)

func main() {
	var running sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		running.Add(1)
		go worker(&running)
	}
	running.Wait()

	if err := json.NewEncoder(os.Stdout).Encode(expectations()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// worker runs on a goroutine of its own, whose stack starts small and so is copied while C frames point into it.
func worker(running *sync.WaitGroup) {
	defer running.Done()
	for i := 0; i < rounds; i++ {
		C.leak_direct()
		C.c_level(levels)
		goRecurse(goDepth)
		C.run_thread()
		leakFromGo()
	}
}

//export goLevel
func goLevel(level C.int) {
	growStack(int(level) * 24)
	if level == 0 {
		C.leak_innermost()
		return
	}
	C.c_level(level - 1)
}

// growStack makes the goroutine's stack at least kib KiB deep. The first call of each depth moves it elsewhere; frame
// pointers that C functions further out have saved still point to where it was.
//
//go:noinline
func growStack(kib int) byte {
	var frame [1024]byte
	frame[kib%len(frame)] = 1
	if kib == 0 {
		return frame[0]
	}
	return frame[0] + growStack(kib-1)
}

//go:noinline
func goRecurse(depth int) {
	if depth == 1 {
		C.leak_recursive(cDepth)
		return
	}
	goRecurse(depth - 1)
}

//export goOnThread
func goOnThread() {
	growStack(16)
	C.leak_on_thread()
}

var (
	lastMu sync.Mutex
	last   unsafe.Pointer
)

//go:noinline
func leakFromGo() {
	p := C.malloc(1033)
	lastMu.Lock()
	last = p
	lastMu.Unlock()
}
