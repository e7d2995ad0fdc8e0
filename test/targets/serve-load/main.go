// Serve-load is a service with as many C and Go allocations, each by a stack of its own, as its argument says: what
// `cgoprof serve` is measured on. The functions between main and the allocations are generated (generate.mjs).
//
// It prints "pid N", "listening on http://ADDRESS" and "ready", and ends with its input.
package main

// #cgo CFLAGS: -O1 -g
// #include <stdlib.h>
// static void *volatile last;
// static void leak(size_t size) { last = malloc(size); }
import "C"

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
)

var held [][]byte

func init() {
	runtime.MemProfileRate = 1
}

//go:noinline
func allocate() {
	held = append(held, make([]byte, 1021))
	C.leak(1009)
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	held = make([][]byte, 0, count)
	for i := 0; i < count; i++ {
		walk(i)
	}
	runtime.GC() // the heap profile is as old as the last collection
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Printf("pid %d\nlistening on http://%s\nready\n", os.Getpid(), listener.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	runtime.KeepAlive(held)
}
