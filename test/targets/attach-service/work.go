package main

// #cgo CFLAGS: -O2 -g -pthread
// #cgo LDFLAGS: -ldl -lpthread
// #include <stdlib.h>
// #include "load.h"
import "C"

import (
	"encoding/json"
	"net/http"
	"runtime"
	"sync/atomic"
	"unsafe"
)

const (
	churningThreads = 8
	blocksARequest  = 307
)

var (
	requests uint32
	garbage  [16]atomic.Value
)

func churnInThreads() { C.churn_in_threads(churningThreads) }

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// withString calls C with a copy of a text.
func withString(text string, call func(*C.char) C.int) bool {
	copied := C.CString(text)
	defer C.free(unsafe.Pointer(copied))
	return call(copied) != 0
}

func handleWork(plugin string) {
	http.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		number := atomic.AddUint32(&requests, 1)
		C.churn(blocksARequest, C.uint(number))
		garbage[number%16].Store(make([]byte, 65537))
		if r.URL.Query().Has("plugin") {
			if !withString(plugin, func(path *C.char) C.int { return C.load_and_unload(path) }) {
				http.Error(w, "the plugin cannot be loaded", http.StatusInternalServerError)
				return
			}
		}
		if r.URL.Query().Has("gc") {
			runtime.GC()
		}
		answer(w, number)
	})
}
