package main

// #include <errno.h>
// #include <time.h>
// #include <unistd.h>
//
// // The count of bytes, or -errno.
// static long blocked_read(int fd, char* text, long bytes) {
//   const long count = read(fd, text, bytes);
//   return count < 0 ? -errno : count;
// }
//
// static int blocked_sleep(long ms) {
//   const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
//   return nanosleep(&time, NULL) == 0 ? 0 : errno;
// }
import "C"

import (
	"log"
	"net/http"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// waited is what a wait came to. Result: bytes read, or -errno; 0 where there is nothing to say.
type waited struct {
	Result    int    `json:"result"`
	Text      string `json:"text"`
	ElapsedNs int64  `json:"elapsedNs"`
}

func handleWaits() {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/pipe/read", func(w http.ResponseWriter, _ *http.Request) { answer(w, readPipe(pipe[0])) })
	http.HandleFunc("/pipe/write", func(w http.ResponseWriter, r *http.Request) {
		_, err := syscall.Write(pipe[1], []byte(r.URL.Query().Get("text")))
		answer(w, err == nil)
	})
	for path, wait := range map[string]func(ms int) int{
		"/sleep":   func(ms int) int { time.Sleep(time.Duration(ms) * time.Millisecond); return 0 },
		"/sleep/c": func(ms int) int { return -int(C.blocked_sleep(C.long(ms))) },
		"/timer":   func(ms int) int { <-time.After(time.Duration(ms) * time.Millisecond); return 0 },
	} {
		wait := wait
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
			start := time.Now()
			result := wait(ms)
			answer(w, waited{Result: result, ElapsedNs: int64(time.Since(start))})
		})
	}
}

func readPipe(fd int) waited {
	var text [64]byte
	start := time.Now()
	count := int(C.blocked_read(C.int(fd), (*C.char)(unsafe.Pointer(&text[0])), C.long(len(text))))
	return waited{Result: count, Text: string(text[:max(count, 0)]), ElapsedNs: int64(time.Since(start))}
}
