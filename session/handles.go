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
	threads numbered[rpc.Thread]

	last   int // for everything but threads
	frames numbered[frameKey]
	values recent[valueKey]
	texts  numbered[textKey]
}

// numbered holds things that keep the number they got when first named.
type numbered[K comparable] struct {
	ids map[K]int
	of  map[int]K
}

func newNumbered[K comparable]() numbered[K] { return numbered[K]{map[K]int{}, map[int]K{}} }

func (n numbered[K]) id(k K, next func() int) int {
	id, ok := n.ids[k]
	if !ok {
		id = next()
		n.ids[k], n.of[id] = id, k
	}
	return id
}

func (n numbered[K]) drop(gone func(K) bool) {
	for k, id := range n.ids {
		if gone(k) {
			delete(n.ids, k)
			delete(n.of, id)
		}
	}
}

// recent are numbered things of which those are forgotten that were not named
// or asked for in a long time.
type recent[K comparable] struct{ young, old numbered[K] }

// maxRecent is how many things are young: as many as the engine keeps in all.
const maxRecent = 1 << 18

func (r *recent[K]) id(k K, next func() int) int {
	if id, ok := r.young.ids[k]; ok {
		return id
	}
	id, ok := r.old.ids[k]
	if !ok {
		id = next()
	}
	r.add(k, id)
	return id
}

func (r *recent[K]) get(id int) (K, bool) {
	if k, ok := r.young.of[id]; ok {
		return k, true
	}
	k, ok := r.old.of[id]
	if ok {
		r.add(k, id)
	}
	return k, ok
}

func (r *recent[K]) add(k K, id int) {
	if r.young.ids == nil || len(r.young.ids) >= maxRecent {
		r.young, r.old = newNumbered[K](), r.young
	}
	r.young.ids[k], r.young.of[id] = id, k
}

func (r *recent[K]) drop(gone func(K) bool) {
	r.young.drop(gone)
	r.old.drop(gone)
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
		threads: newNumbered[rpc.Thread](), frames: newNumbered[frameKey](), texts: newNumbered[textKey](),
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
	return h.threads.id(name, func() int { return len(h.threads.ids) + 1 }) // 0 is left out of messages
}

func (h *Handles) threadName(id int) (rpc.Thread, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, ok := h.threads.of[id]
	return name, ok
}

func (h *Handles) frame(k frameKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.frames.id(k, h.next)
}

// frameOf returns what a frame's number stands for in session s.
func (h *Handles) frameOf(s *Session, id int) (frameKey, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.frames.of[id]
	return k, ok && k.session == s
}

func (h *Handles) value(k valueKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.values.id(k, h.next)
}

func (h *Handles) valueOf(s *Session, id int) (uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.values.get(id)
	return k.ref, ok && k.session == s
}

func (h *Handles) text(k textKey) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.texts.id(k, h.next)
}

func (h *Handles) textOf(s *Session, id int) (textKey, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.texts.of[id]
	return k, ok && k.session == s
}

// drop forgets what belongs to a session that has ended; its numbers stay used.
func (h *Handles) drop(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames.drop(func(k frameKey) bool { return k.session == s })
	h.texts.drop(func(k textKey) bool { return k.session == s })
	h.values.drop(func(k valueKey) bool { return k.session == s })
}
