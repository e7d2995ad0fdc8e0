// Storm does at once what has made profilers of cgo programs fall over: the Go heap grows, shrinks and is collected,
// goroutine stacks move while their strings are copied to C, calls go from Go to C and back to a depth, a million times
// in all, and child processes are started throughout. Prints how much Go memory there was, its pid and "ready", then
// waits for a line on standard input.
package main

// #cgo CFLAGS: -O2 -g
// #include <stdlib.h>
// #include "storm.h"
import "C"

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

const (
	callers  = 4    // goroutines that call down
	calls    = 2503 // of each
	levels   = 3
	copiers  = 8 // goroutines that copy strings, each on as many new goroutines
	stacks   = 97
	depth    = 41
	starters = 2 // goroutines that start processes
	children = 101
	garbage  = 67 // rounds of 16 MiB
)

func main() {
	program, err := exec.LookPath("true")
	if err != nil {
		log.Fatal(err)
	}
	var running sync.WaitGroup
	start := func(count int, work func()) {
		running.Add(count)
		for i := 0; i < count; i++ {
			go func() {
				defer running.Done()
				work()
			}()
		}
	}
	start(1, litter)
	start(callers, call)
	start(copiers, copyStrings)
	start(starters, func() { startProcesses(program) })
	running.Wait()

	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Printf("go bytes %d\npid %d\nready\n", memory.TotalAlloc, os.Getpid())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// litter makes the Go heap ask the system for memory, of which cgo has libc's mmap do a part.
func litter() {
	for i := 0; i < garbage; i++ {
		blocks := make([][]byte, 64)
		for j := range blocks {
			blocks[j] = make([]byte, 256<<10)
			blocks[j][i] = 1
		}
		runtime.GC()
	}
}

func call() {
	for i := 0; i < calls; i++ {
		C.down(levels)
	}
}

//export goDown
func goDown(levels C.int) {
	C.down(levels)
}

func copyStrings() {
	text := strings.Repeat("x", 210)
	for i := 0; i < stacks; i++ {
		done := make(chan byte)
		go func() { done <- descend(depth, text) }()
		<-done
	}
}

// descend copies the string at each level of a recursion whose stack must be moved to hold it.
func descend(level int, text string) byte {
	var frame [2048]byte
	frame[level] = 1
	if level == 0 {
		return frame[1]
	}
	copied := C.CString(text) // site: copied
	sum := descend(level-1, text) + frame[level]
	C.free(unsafe.Pointer(copied))
	return sum
}

func startProcesses(program string) {
	for i := 0; i < children; i++ {
		if err := exec.Command(program).Run(); err != nil {
			log.Fatal(err)
		}
		C.keep_one()
	}
}
