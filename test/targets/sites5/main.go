// Sites5 leaks about 60 MB at each of five C lines, in blocks of 61 B to 1 MiB + 7: what sampling has to estimate.
package main

// #cgo CFLAGS: -O2 -g
// #include "sites.h"
import "C"

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	C.leak_61()
	C.leak_1021()
	C.leak_16381()
	C.leak_262139()
	C.leak_1048583()

	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
