package main

// #cgo CFLAGS: -O2 -g
// #include <stdlib.h>
// #include "markdown.h"
import "C"

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unsafe"
)

const maxDocument = 1 << 20

type previewHandler struct {
	drafts *draftStore
}

// ServeHTTP renders the Markdown in the request's body.
func (h previewHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	document, err := readDocument(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	html := renderMarkdown(document)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Draft-Id", strconv.Itoa(h.drafts.keep(html)))
	_, _ = io.WriteString(w, html)
}

func renderMarkdown(document string) string {
	source := C.CString(document) // Leak 1: no C.free(unsafe.Pointer(source)).
	html := C.markdown_render(source)
	defer C.free(unsafe.Pointer(html))
	return C.GoString(html)
}

// countWords is honest: what it allocates in C it frees, what it allocates in Go the collector gets.
func countWords(w http.ResponseWriter, r *http.Request) {
	document, err := readDocument(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	source := C.CString(document)
	defer C.free(unsafe.Pointer(source))
	fmt.Fprintln(w, uint64(C.markdown_words(source)))
}

func readDocument(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
	return string(body), err
}
