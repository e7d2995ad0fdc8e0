package main

// #include "canary.h"
// static const char* canary_name(int kind) { return canary_names[kind]; }
import "C"

// watched is what the canaries did, by kind, and what was wrong first; "" as long as nothing is.
type watched struct {
	Rounds        map[string]uint64 `json:"rounds"`
	Interruptions map[string]uint64 `json:"interruptions"`
	Fault         string            `json:"fault"`
}

func startCanaries() { C.canaries_start() }

func canaries() watched {
	found := watched{map[string]uint64{}, map[string]uint64{}, C.GoString(C.canary_fault())}
	for kind := C.int(0); kind < C.CANARY_KINDS; kind++ {
		name := C.GoString(C.canary_name(kind))
		found.Rounds[name] = uint64(C.canary_rounds(uint32(kind)))
		found.Interruptions[name] = uint64(C.canary_interruptions(uint32(kind)))
	}
	return found
}
