// Attach-cxx keeps its data in RocksDB, a large library in C++ with threads of its own. It prints its pid and "ready",
// and does what the lines on its standard input say, each answered by "done":
//
//	work    writes, flushes, compacts and reads
//	hold    keeps 101 iterators open
//	close   closes them all
//
//	attach-cxx FOLDER     FOLDER: for the database
package main

/*
#cgo LDFLAGS: -lrocksdb
#include <rocksdb/c.h>
#include <stdlib.h>
*/
import "C"

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"unsafe"
)

const (
	records   = 5003
	iterators = 101
)

type store struct {
	db    *C.rocksdb_t
	write *C.rocksdb_writeoptions_t
	read  *C.rocksdb_readoptions_t
	held  []*C.rocksdb_iterator_t
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("in which folder?")
	}
	s := open(os.Args[1])
	s.work()
	fmt.Printf("pid %d\nready\n", os.Getpid())
	obey := map[string]func(){"work": s.work, "hold": s.hold, "close": s.close}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println("done") {
		obey[lines.Text()]()
	}
	s.close()
	C.rocksdb_close(s.db)
}

func check(message *C.char) {
	if message != nil {
		log.Fatal(C.GoString(message))
	}
}

func open(folder string) *store {
	options := C.rocksdb_options_create()
	C.rocksdb_options_set_create_if_missing(options, 1)
	C.rocksdb_options_increase_parallelism(options, 4)
	path := C.CString(folder)
	defer C.free(unsafe.Pointer(path))
	var message *C.char
	db := C.rocksdb_open(options, path, &message)
	check(message)
	return &store{db: db, write: C.rocksdb_writeoptions_create(), read: C.rocksdb_readoptions_create()}
}

func bytesOf(text []byte) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(&text[0])), C.size_t(len(text))
}

func (s *store) work() {
	var message *C.char
	for i := 0; i < records; i++ {
		key, keyBytes := bytesOf([]byte(fmt.Sprintf("key %d", i*7919%records)))
		value, valueBytes := bytesOf(make([]byte, 211))
		C.rocksdb_put(s.db, s.write, key, keyBytes, value, valueBytes, &message)
		check(message)
	}
	flush := C.rocksdb_flushoptions_create()
	C.rocksdb_flush(s.db, flush, &message)
	check(message)
	C.rocksdb_flushoptions_destroy(flush)
	C.rocksdb_compact_range(s.db, nil, 0, nil, 0)
	for i := 0; i < records; i++ {
		s.get(fmt.Sprintf("key %d", i))
	}
}

func (s *store) get(name string) {
	var message *C.char
	var bytes C.size_t
	key, keyBytes := bytesOf([]byte(name))
	value := C.rocksdb_get(s.db, s.read, key, keyBytes, &bytes, &message)
	check(message)
	if bytes != 211 {
		log.Fatalf("%s has %d bytes", name, bytes)
	}
	C.rocksdb_free(unsafe.Pointer(value))
}

//go:noinline
func (s *store) hold() {
	for i := 0; i < iterators; i++ {
		s.held = append(s.held, C.rocksdb_create_iterator(s.db, s.read))
	}
}

func (s *store) close() {
	for _, iterator := range s.held {
		C.rocksdb_iter_destroy(iterator)
	}
	s.held = nil
}
