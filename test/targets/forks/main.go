// Forks makes children in every way C and Go have, and leaks known blocks before and after: children neither crash nor
// change what the parent's profile says. Prints its pid and "ready", then waits for a line on standard input.
package main

// #cgo CFLAGS: -O2 -g
// #include <stdlib.h>
// #include "forks.h"
import "C"

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"os/exec"
	"unsafe"
)

const rounds = 17

func main() {
	program, err := exec.LookPath("true")
	if err != nil {
		log.Fatal(err)
	}
	name := C.CString(program)
	defer C.free(unsafe.Pointer(name))

	C.leak_before()
	for i := 0; i < rounds; i++ {
		check("fork", C.fork_and_allocate())
		check("fork, exit", C.fork_and_exit())
		check("fork, exec", C.fork_and_exec(name))
		check("vfork", C.vfork_and_exec(name))
		check("posix_spawn", C.spawn(name))
		if err := exec.Command(program).Run(); err != nil {
			log.Fatalf("exec.Command: %v", err)
		}
	}
	C.leak_after()

	fmt.Printf("pid %d\nready\n", os.Getpid())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func check(how string, waitStatus C.int) {
	if waitStatus != 0 {
		log.Fatalf("%s: wait status %#x", how, int(waitStatus))
	}
}
