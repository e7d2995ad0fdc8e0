package main

// #include <stdlib.h>
// #include "memory.h"
import "C"

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"unsafe"
)

// child is what a child that is a Go program does: it holds memory, and copies its input until that ends. So does cat.
func child() {
	C.hold_in_child()
	_, _ = io.Copy(os.Stdout, os.Stdin)
}

// runningChild is ended by closing its input, which happens too if we die.
type runningChild struct {
	input *os.File
	wait  func() error
}

var children []runningChild

// startChildren starts two programs, this one and cat, in two ways each, by Go's os/exec and C's posix_spawn. Every one
// prints "child WAY PROGRAM PID" once it is up.
func startChildren() {
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	startChild("go", "service", self, "child")
	startChild("c", "service", self, "child")
	startChild("go", "cat", "cat")
	startChild("c", "cat", "cat")
}

func startChild(way, name string, command ...string) {
	read, write, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer read.Close()
	start := startByGo
	if way == "c" {
		start = startByC
	}
	pid, wait, err := start(command, read)
	if err != nil {
		log.Fatal(err)
	}
	children = append(children, runningChild{write, wait})
	fmt.Fprintf(write, "child %s %s %d\n", way, name, pid)
}

func startByGo(command []string, input *os.File) (int, func() error, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, cmd.Wait, nil
}

func startByC(command []string, input *os.File) (int, func() error, error) {
	program := C.CString(command[0])
	defer C.free(unsafe.Pointer(program))
	var argument *C.char
	if len(command) > 1 {
		argument = C.CString(command[1])
		defer C.free(unsafe.Pointer(argument))
	}
	pid := C.spawn_child(program, argument, C.int(input.Fd()))
	if pid < 0 {
		return 0, nil, fmt.Errorf("posix_spawn %s failed", command[0])
	}
	wait := func() error {
		if status := C.wait_for_child(pid); status != 0 {
			return fmt.Errorf("%s: wait status %#x", command[0], int(status))
		}
		return nil
	}
	return int(pid), wait, nil
}

func endChildren() {
	for _, child := range children {
		child.input.Close()
		if err := child.wait(); err != nil {
			log.Fatal(err)
		}
	}
	children = nil
}
