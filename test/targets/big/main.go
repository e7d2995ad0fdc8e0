// Big is as large as a grown service: a binary of more than 50 MB, and about 2,000 buckets. What a profile of it costs to
// read and symbolize is what `cgoprof heap` is measured on.
//
// The rest of it is generated (generate.mjs): 500 leaking C functions, which leak_all calls with four sizes each, and
// thousands of C and Go functions that only make the debug information as big as it is in life.
package main

// #cgo CFLAGS: -O1 -g
// #include "generated.h"
import "C"

import (
	"bufio"
	"fmt"
	"os"

	"big/filler"
)

func main() {
	// Four size classes, so that each function makes four buckets.
	for _, size := range []C.size_t{1009, 4013, 16033, 64007} {
		C.leak_all(size)
	}
	fmt.Println("ready", filler.Sum()+int(C.filler_sum()))
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
