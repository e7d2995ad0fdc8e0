// Threads has goroutines and C threads allocate at the same time, while the garbage collector runs, goroutine stacks
// grow and move, and the CPU profiler's signals come. Prints its pid and "ready", then waits for a line on standard
// input.
package main

// #cgo CFLAGS: -O2 -g
// #cgo LDFLAGS: -lpthread
// #include "threads.h"
import "C"

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"unsafe"
)

const (
	goroutines = 23
	rounds     = 997
	mostDeep   = 37
)

func main() {
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		log.Fatal(err)
	}
	C.start_threads()
	handed := make(chan unsafe.Pointer, 101)
	var workers, takers sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		workers.Add(1)
		takers.Add(1)
		go worker(handed, &workers)
		go taker(handed, &takers)
	}
	workers.Wait()
	close(handed)
	takers.Wait()
	C.join_threads()
	pprof.StopCPUProfile()

	fmt.Printf("pid %d\nready\n", os.Getpid())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func worker(handed chan<- unsafe.Pointer, done *sync.WaitGroup) {
	defer done.Done()
	for i := 0; i < rounds; i++ {
		descend(i%mostDeep, handed)
		if i%53 == 0 {
			runtime.GC()
		}
	}
}

// descend makes the stack that deep, each frame big enough that the stack has to move now and then.
func descend(depth int, handed chan<- unsafe.Pointer) byte {
	var frame [307]byte
	frame[depth] = 1
	if depth > 0 {
		return frame[depth] + descend(depth-1, handed)
	}
	C.keep_one()
	C.churn_one()
	handed <- C.hand_out()
	C.call_go()
	return frame[0]
}

//export goKeep
func goKeep() {
	C.keep_one_called_back()
}

func taker(handed <-chan unsafe.Pointer, done *sync.WaitGroup) {
	defer done.Done()
	for block := range handed {
		C.take_back(block)
	}
}
