//go:build tcmalloc

package main

// #cgo LDFLAGS: -ltcmalloc
import "C"
