// Pclntab allocates through every shape of Go frame that .gopclntab describes in its own way (nested inlining, generics,
// closures, method values, wrappers, defer, go statements, init) and writes the runtime's own heap profile of it: what a
// reader of the table has to reproduce. With cgo it also prints addresses in C code of the same binary.
//
// Usage: pclntab PROFILE
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

var sink [][]byte

var _ = setRate()

// Runs before any other initializer below, so that all of them are sampled.
func setRate() bool {
	runtime.MemProfileRate = 1
	return true
}

//go:noinline
func leaf(size int) { sink = append(sink, make([]byte, size)) }

// inline3 and its callers are inlined into one another, each call on a line of its own.
func inline3(size int) {
	leaf(size)
}

func inline2(size int) {
	inline3(size)
	inline3(size + 2)
}

func inline1(size int) {
	inline2(size)
}

type shape interface{ grow(size int) }

type square struct{ scale int }

func (s square) grow(size int) { inline1(size * s.scale) }

type circle struct{ square }

//go:noinline
func throughInterface(s shape, size int) { s.grow(size) }

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (p *pair[K, V]) grow(size int) { generic(p.value, size) }

//go:noinline
func generic[T any](value T, size int) T {
	inline2(size)
	return value
}

func genericInlined[T any](value T, size int) T {
	inline3(size)
	return value
}

//go:noinline
func call(f func(int), size int) { f(size) }

func closures(size int) {
	call(func(n int) {
		func() { inline1(n) }()
		call(func(m int) { leaf(m) }, n+4)
	}, size)
}

func deferred(size int) {
	defer call(leaf, size)
	defer func() { inline2(size) }()
}

func goroutines(size int) {
	done := make(chan bool)
	go func(n int) { // has an argument: the compiler wraps it
		inline1(n)
		done <- true
	}(size)
	<-done
	go closeAfter(done, size)
	<-done
}

//go:noinline
func closeAfter(done chan bool, size int) {
	leaf(size)
	close(done)
}

func recovered(size int) {
	defer func() {
		recover()
		inline1(size)
	}()
	var nothing *pair[int, int]
	nothing.value = 1
}

func init() { inline1(101) }

func main() {
	inline1(103)
	throughInterface(square{1}, 107)
	throughInterface(&square{1}, 109)
	throughInterface(circle{square{1}}, 113)
	throughInterface(&pair[string, float64]{value: 1}, 127)
	throughInterface(&pair[int, square]{}, 131)
	call(square{2}.grow, 137)
	call(circle{square{2}}.grow, 139)
	generic(1, 149)
	generic("text", 151)
	generic(struct{ a, b int }{}, 157)
	genericInlined(square{}, 163)
	closures(167)
	deferred(173)
	goroutines(179)
	recovered(181)
	inC()
	if err := writeProfile(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeProfile(path string) error {
	runtime.GC() // publishes what was allocated up to here
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.Lookup("allocs").WriteTo(file, 0); err != nil {
		return err
	}
	return file.Close()
}
