package main

import "sync"

// draftStore remembers every preview, so that an author can go back to it.
type draftStore struct {
	mu     sync.Mutex
	drafts map[int]string
}

func newDraftStore() *draftStore {
	return &draftStore{drafts: make(map[int]string)}
}

// keep stores a draft and returns its number. Leak 3: nothing ever deletes one.
func (s *draftStore) keep(html string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := len(s.drafts) + 1
	s.drafts[id] = html
	return id
}
