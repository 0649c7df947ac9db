package dump

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"
)

// TestWindow reads a file of more chunks than are kept mapped, from several
// goroutines: pages that were given back must come back as they were.
func TestWindow(t *testing.T) {
	const chunks, perChunk = 3 * windowChunks, 1 << (chunkShift - 12)
	path := write(t, header(Full, Run{0, chunks * perChunk}))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	makeSparse(file)
	for c := range int64(chunks) {
		if _, err := file.WriteAt(page(uint64(c)), HeaderSize+c<<chunkShift); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(HeaderSize + chunks<<chunkShift); err != nil {
		t.Fatal(err)
	}
	file.Close()
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			for range 5000 {
				c := r.Uint64N(chunks)
				p, ok := f.Page(c * perChunk)
				if !ok || le.Uint64(p) != c|0xabc<<48 || le.Uint64(p[4088:]) != c|0xabc<<48 {
					t.Errorf("chunk %d: %v, %#x", c, ok, le.Uint64(p))
					return
				}
			}
		})
	}
	wg.Wait()
	if n := f.window.n.Load(); n >= windowChunks {
		t.Errorf("%d chunks are counted as mapped", n)
	}
}
