package main

// #include <malloc.h>
// #include "load.h"
// #include "sites.h"
// static size_t in_use(void) {
//   const struct mallinfo2 info = mallinfo2();
//   return info.uordblks + info.hblkhd;
// }
import "C"

import "net/http"

func handleSites(plugin string) {
	for path, call := range map[string]func(){
		"/leak":          leak,
		"/release":       func() { C.release_all() },
		"/leak/plugin":   func() { leakInPlugin(plugin) },
		"/early":         func() { C.leak_early() },
		"/early/release": func() { C.release_early() },
	} {
		call := call
		http.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			call()
			answer(w, "done")
		})
	}
	http.HandleFunc("/account", func(w http.ResponseWriter, _ *http.Request) { answer(w, uint64(C.in_use())) })
}

//go:noinline
func leak() { C.leak_all() }

//go:noinline
func leakInPlugin(plugin string) {
	if !withString(plugin, func(path *C.char) C.int { return C.leak_in_plugin(path) }) {
		panic("the plugin cannot be loaded")
	}
}
