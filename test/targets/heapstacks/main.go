// Heapstacks allocates known amounts of Go memory, writes its heap profile, and prints what a C allocation made by the
// same functions would have recorded: return addresses of the Go stack, and where the program's code is mapped.
//
//	heapstacks PROFILE
//
// The merge of the two must show each function once.
package main

import (
	"encoding/json"
	"log"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
)

type frame struct {
	// Return address, as a hexadecimal string: JSON's numbers end at 2^53.
	PC   string
	Name string
	File string
	Line int
}

type report struct {
	// The line of /proc/self/maps that holds the program's code.
	Mapping string
	// Of a call made in serve, leaf first.
	Stack []frame
}

var (
	kept  [7][]byte
	stack []frame
)

//go:noinline
func hold(size int) {
	for i := range kept {
		kept[i] = make([]byte, size)
	}
}

// serve stands for a function that allocates itself and calls C, which allocates.
//
//go:noinline
func serve() {
	hold(1021)
	stack = callers()
}

//go:noinline
func callers() []frame {
	pcs := make([]uintptr, 64)
	pcs = pcs[:runtime.Callers(2, pcs)]
	var stack []frame
	for _, pc := range pcs {
		// Nothing on this stack is inlined, so that each address is one frame.
		f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		stack = append(stack, frame{hex(pc), f.Function, f.File, f.Line})
	}
	return stack
}

func hex(v uintptr) string {
	const digits = "0123456789abcdef"
	if v < 16 {
		return "0x" + digits[v:v+1]
	}
	return hex(v/16) + digits[v%16:v%16+1]
}

// codeMapping finds the line of /proc/self/maps that holds an address of this program.
func codeMapping() string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		log.Fatal(err)
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range strings.Split(string(maps), "\n") {
		if strings.HasSuffix(line, " "+exe) && strings.Contains(line, " r-xp ") {
			return line
		}
	}
	log.Fatal("no executable mapping of " + exe)
	return ""
}

func main() {
	runtime.MemProfileRate = 1
	serve()
	// The profile tells what the last collection left.
	runtime.GC()
	f, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := pprof.WriteHeapProfile(f); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report{codeMapping(), stack}); err != nil {
		log.Fatal(err)
	}
	runtime.KeepAlive(kept)
}
