// Cgo CALLS: a Go loop that calls C, which allocates a block and frees the one before.
package main

// #include <stdlib.h>
//
// enum { kLive = 4096 };
// static void *live[kLive];
//
// static void replace(unsigned i, size_t size) {
//   void **slot = &live[i % kLive];
//   free(*slot);
//   *slot = malloc(size);
// }
import "C"

import (
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

func main() {
	debug.SetGCPercent(-1) // what the collector does depends on the time
	calls, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	start := time.Now()
	for i := 0; i < calls; i++ {
		C.replace(C.uint(i), C.size_t(16+i*7%496))
	}
	fmt.Printf("{\"wall\": %d}\n", time.Since(start).Nanoseconds())
}
