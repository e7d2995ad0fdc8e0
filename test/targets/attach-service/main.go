// Attach-service is a service that was started with no thought of being profiled: it serves HTTP on the loopback
// interface while threads of C allocate, and has canaries (canary.h) that notice whoever disturbs a thread.
//
//	attach-service [-quiet] PLUGIN     PLUGIN: path of plugin/plugin.c as a library
//
// Prints "pid N", "listening on http://ADDRESS" and "ready". Ends at the end of its standard input, with exit status 3
// if a canary was disturbed. -quiet: neither canaries nor threads that allocate, so that only requests do.
//
//	/work?plugin&gc     allocates in C and Go; loads and unloads the plugin; collects Go's garbage
//	/leak, /release     hold a known number of blocks more at known lines of C (sites.json), free them all
//	/leak/plugin        the same in the plugin
//	/early, /early/release  hold 211 blocks of 10007 bytes, free them
//	/account            bytes that C has in use as the allocator counts them
//	/pipe/read          reads from a pipe in C, blocked until somebody calls /pipe/write?text=
//	/sleep?ms=, /sleep/c?ms=, /timer?ms=   wait and say for how long: in Go, in C, by a timer
//	/canaries           what the canaries did and found
//	/debug/pprof/
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
)

func main() {
	quiet := flag.Bool("quiet", false, "neither canaries nor threads that allocate")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("which plugin?")
	}
	if !*quiet {
		churnInThreads()
		startCanaries()
	}
	handleWork(flag.Arg(0))
	handleSites(flag.Arg(0))
	handleWaits()
	http.HandleFunc("/canaries", func(w http.ResponseWriter, _ *http.Request) { answer(w, canaries()) })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Printf("pid %d\nlistening on http://%s\nready\n", os.Getpid(), listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if fault := canaries().Fault; fault != "" {
		os.Exit(3)
	}
}
