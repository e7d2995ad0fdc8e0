// Leaky-api previews Markdown: a small HTTP service, with its renderer in C, that leaks in three ways at once.
//
//   - preview.go gives C a string and forgets to free it.
//   - fragment_cache.c keeps every rendered fragment for ever.
//   - drafts.go keeps every preview in a Go map that nothing ever deletes from.
//
// Go's own heap profile shows only the last one. The rest of the service frees what it allocates, in C and in Go.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // the Go side of the profile: /debug/pprof/heap
	"os"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve on; port 0 takes a free one")
	flag.Parse()

	drafts := newDraftStore()
	http.Handle("/preview", previewHandler{drafts})
	http.HandleFunc("/wordcount", countWords)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("leaky-api: pid %d listening on http://%s\n", os.Getpid(), listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
