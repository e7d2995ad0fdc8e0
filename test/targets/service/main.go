// Service stands for the services that people profile: it holds known blocks of C and of Go memory, serves
// net/http/pprof, and does what the lines on its standard input say, so that a test decides what happens when.
//
// It prints "pid N", "listening on http://ADDRESS" and "ready". The lines, each answered by "done" if there is somebody
// left to answer:
//
//	return, panic, abort       ends by main's return, a panic, C's abort; so does the end of the input by return
//	os.Exit N, exit N, _exit N ends by Go's os.Exit, C's exit, C's _exit
//	exec                       starts this program anew in the same process
//	grow                       holds as much in C and in Go once more
//	close                      stops serving and drops the connections
//	children                   starts children, see children.go
//	end children               ends them and waits for them
package main

// #cgo CFLAGS: -O2 -g
// #include <stdlib.h>
// #include <unistd.h>
// #include "memory.h"
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
	"runtime/pprof"
	"strings"
	"syscall"
)

var held [][]byte

func init() {
	runtime.MemProfileRate = 1
	// A profile of the program's own, by a name such as libraries give theirs.
	lent := pprof.NewProfile("example.org/pool.lent")
	for i := 0; i < 3; i++ {
		lent.Add(i, 0)
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		child()
		return
	}
	holdC()
	holdGo()
	runtime.GC() // the heap profile is as old as the last collection
	server := serve()
	fmt.Println("ready")

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && lines.Text() != "return" {
		obey(server, lines.Text())
		fmt.Println("done")
	}
	runtime.KeepAlive(held)
}

func holdC() {
	C.hold()
}

//go:noinline
func holdGo() {
	for i := 0; i < 103; i++ {
		block := make([]byte, 1021) // site: go
		held = append(held, block)
	}
}

func serve() *http.Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{}
	go func() { _ = server.Serve(listener) }()
	fmt.Printf("pid %d\nlistening on http://%s\n", os.Getpid(), listener.Addr())
	return server
}

func obey(server *http.Server, line string) {
	var number int
	words := strings.SplitN(line, " ", 2)
	if len(words) == 2 {
		_, _ = fmt.Sscan(words[1], &number)
	}
	switch {
	case line == "panic":
		panic("as told")
	case line == "abort":
		C.abort()
	case words[0] == "os.Exit":
		os.Exit(number)
	case words[0] == "exit":
		C.exit(C.int(number))
	case words[0] == "_exit":
		C._exit(C.int(number))
	case line == "exec":
		log.Fatal(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	case line == "grow":
		holdC()
		holdGo()
	case line == "close":
		_ = server.Close()
	case line == "children":
		startChildren()
	case line == "end children":
		endChildren()
	default:
		log.Fatalf("what is %q?", line)
	}
}
