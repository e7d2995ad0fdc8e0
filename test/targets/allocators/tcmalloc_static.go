//go:build tcmalloc_static

package main

// #cgo LDFLAGS: -l:libtcmalloc_minimal.a -lpthread
import "C"
