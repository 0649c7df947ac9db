package session

import (
	"sync"

	"kdap/engine/rpc"
)

// Handles gives out the numbers by which a client names things. It outlives a
// session that is opened again: threads keep their numbers, and no number of
// another kind is used twice.
type Handles struct {
	mu      sync.Mutex
	threads map[rpc.Thread]int
	byID    map[int]rpc.Thread

	last    int // for everything but threads
	frames  map[frameKey]int
	byFrame map[int]frameKey
	values  map[int]valueKey
	texts   map[textKey]int
	byText  map[int]textKey
}

// A frameKey is one frame of a thread.
type frameKey struct {
	session *Session
	thread  rpc.Thread
	index   int
}

type valueKey struct {
	session *Session
	ref     uint64
}

// A textKey is the text of a function with the line of an address marked, a
// source file that the engine has, or a text of our own.
type textKey struct {
	session     *Session
	process, ip rpc.Hex
	file        string // a source file that the symbols there name
	note        string
}

// NewHandles returns an empty set of handles.
func NewHandles() *Handles {
	return &Handles{
		threads: map[rpc.Thread]int{}, byID: map[int]rpc.Thread{},
		frames: map[frameKey]int{}, byFrame: map[int]frameKey{}, values: map[int]valueKey{},
		texts: map[textKey]int{}, byText: map[int]textKey{},
	}
}

// firstHandle keeps the numbers of frames and values apart from those of
// threads, which a person may want to read.
const firstHandle = 1 << 20

func (h *Handles) next() int {
	if h.last == 0 {
		h.last = firstHandle
	}
	h.last++
	return h.last
}

func (h *Handles) thread(name rpc.Thread) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, ok := h.threads[name]
	if !ok {
		id = len(h.threads) + 1 // 0 is left out of messages
		h.threads[name], h.byID[id] = id, name
	}
	return id
}

func (h *Handles) threadName(id int) (rpc.Thread, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, ok := h.byID[id]
	return name, ok
}

func (h *Handles) frame(k frameKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, ok := h.frames[k]
	if !ok {
		id = h.next()
		h.frames[k], h.byFrame[id] = id, k
	}
	return id
}

// frameOf returns what a frame's number stands for in session s.
func (h *Handles) frameOf(s *Session, id int) (frameKey, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.byFrame[id]
	return k, ok && k.session == s
}

func (h *Handles) value(k valueKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := h.next()
	h.values[id] = k
	return id
}

func (h *Handles) valueOf(s *Session, id int) (uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.values[id]
	return k.ref, ok && k.session == s
}

func (h *Handles) text(k textKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, ok := h.texts[k]
	if !ok {
		id = h.next()
		h.texts[k], h.byText[id] = id, k
	}
	return id
}

func (h *Handles) textOf(s *Session, id int) (textKey, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.byText[id]
	return k, ok && k.session == s
}

// drop forgets what belongs to a session that has ended; its numbers stay used.
func (h *Handles) drop(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, k := range h.byFrame {
		if k.session == s {
			delete(h.byFrame, id)
			delete(h.frames, k)
		}
	}
	for id, k := range h.values {
		if k.session == s {
			delete(h.values, id)
		}
	}
	for id, k := range h.byText {
		if k.session == s {
			delete(h.byText, id)
			delete(h.texts, k)
		}
	}
}
