// Allocates by malloc and by every operator new, and releases by every operator delete, whoever serves them. Prints its
// pid and "ready", then waits for a line on standard input.
package main

/*
#cgo CXXFLAGS: -std=c++17 -g -O1
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "operators.h"
*/
import "C"

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"unsafe"
)

func main() {
	C.keep_blocks()
	C.release_blocks()
	// An allocator that is compiled as C cannot throw: it aborts.
	if os.Getenv("NEW_ABORTS") == "" && C.fail_to_allocate() == 0 {
		log.Fatal("memory that there is not was allocated")
	}
	usePlugin()
	fmt.Printf("pid %d\nready\n", os.Getpid())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func usePlugin() {
	executable, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	path := C.CString(filepath.Join(filepath.Dir(executable), "libplugin.so"))
	defer C.free(unsafe.Pointer(path))
	if C.use_plugin(path) == 0 {
		log.Fatal("no plugin")
	}
}
