package dump

import (
	"sync"
	"sync/atomic"
)

// The system maps the pages around the one that is touched, too: some thousand
// pages of a large dump, here and there, would count as hundreds of megabytes
// of memory. A window keeps what is mapped at a time within a bound. Pages that
// were given back are mapped again when they are touched; slices stay good.
const (
	chunkShift   = 16  // what one fault maps at most, on Linux by default
	windowChunks = 512 // 32 MB
)

// A window notes which chunks of a mapped file were touched.
type window struct {
	data []byte
	skew uint64 // of data's address, within a chunk
	seen []atomic.Uint64
	n    atomic.Int64 // bits set in seen
	mu   sync.Mutex
}

func newWindow(data []byte) *window {
	w := &window{data: data, skew: skew(data)}
	w.seen = make([]atomic.Uint64, (uint64(len(data))+w.skew)>>chunkShift/64+1)
	return w
}

// touch notes that the byte at off is about to be read.
func (w *window) touch(off uint64) {
	c := (off + w.skew) >> chunkShift
	word, bit := &w.seen[c/64], uint64(1)<<(c%64)
	if word.Load()&bit != 0 || word.Or(bit)&bit != 0 || w.n.Add(1) < windowChunks {
		return
	}
	// Who finds the lock taken leaves the work to its holder, which looks once
	// more after it let go: what was counted meanwhile is not forgotten.
	for w.n.Load() >= windowChunks && w.mu.TryLock() {
		w.giveBack()
		w.mu.Unlock()
	}
}

// giveBack begins a new count and gives every mapped page back.
func (w *window) giveBack() {
	w.n.Store(0)
	for i := range w.seen {
		w.seen[i].Store(0)
	}
	release(w.data)
}
