package main

// An expectation says what one site leaked and under which frames, innermost first. Only the frames a reader of the
// profile cares for are named; the crossings' own plumbing lies between them.
type expectation struct {
	Blocks int      `json:"blocks"`
	Size   int      `json:"size"` // bytes per block; identifies the site
	Frames []string `json:"frames"`
}

func expectations() []expectation {
	const blocks = goroutines * rounds
	return []expectation{
		{blocks, 1009, []string{"leak_direct", "main.worker"}},
		{blocks, 1013, append([]string{"leak_innermost", "main.goLevel"}, interleaved()...)},
		{blocks, 1019, append(append(repeat("recurse", cDepth), "leak_recursive"),
			append(repeat("main.goRecurse", goDepth), "main.worker")...)},
		{blocks, 1021, []string{"leak_on_thread", "main.goOnThread", "thread_main"}},
		{blocks, 1031, []string{"leak_beside_go", "thread_main"}},
		{blocks, 1033, []string{"main.leakFromGo", "main.worker"}},
	}
}

// interleaved is the rest of the chain above the innermost main.goLevel.
func interleaved() []string {
	var frames []string
	for level := 0; level < levels; level++ {
		frames = append(frames, "c_level", "main.goLevel")
	}
	return append(frames, "c_level", "main.worker")
}

func repeat(name string, times int) []string {
	names := make([]string, times)
	for i := range names {
		names[i] = name
	}
	return names
}
