// Zstd TIMES: DataDog/zstd compresses a text of 64 KiB TIMES times, and unpacks it.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/DataDog/zstd"
)

func main() {
	debug.SetGCPercent(-1) // what the collector does depends on the time
	times, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	text := makeText(64 << 10)
	packed := make([]byte, zstd.CompressBound(len(text)))
	unpacked := make([]byte, len(text))
	start := time.Now()
	for i := 0; i < times; i++ {
		if err := roundTrip(text, packed, unpacked); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("{\"wall\": %d}\n", time.Since(start).Nanoseconds())
}

func roundTrip(text, packed, unpacked []byte) error {
	small, err := zstd.Compress(packed, text)
	if err != nil {
		return err
	}
	again, err := zstd.Decompress(unpacked, small)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, text) {
		return fmt.Errorf("unpacked text is another")
	}
	return nil
}

// makeText makes lines as a log has them, the same ones in every run.
func makeText(size int) []byte {
	var text bytes.Buffer
	for i := uint32(1); text.Len() < size; i = i*1664525 + 1013904223 {
		fmt.Fprintf(&text, "%08x GET /items/%d status=%d\n", i, i%9973, 200+i%5)
	}
	return text.Bytes()[:size]
}
