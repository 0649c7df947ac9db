package session

import (
	"bytes"
	"testing"
)

// TestReadPieces: what is read in pieces is what is read at once, up to the
// first byte that cannot be read.
func TestReadPieces(t *testing.T) {
	o := madeOptions(t)
	o.Program = program(t, "serve")
	s, err := Open(t.Context(), o, NewHandles())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, err := s.ReadMemory(t.Context(), "nt", 0, 1)
	if err == nil {
		t.Errorf("a name is a reference: %+v", m)
	}
	mods, err := s.Modules(t.Context())
	if err != nil || len(mods) == 0 {
		t.Fatalf("modules: %v", err)
	}
	base := uint64(mods[0].Base)
	const wanted = 2 << 20 // more than the image, and than one piece
	whole, err := s.ReadMemory(t.Context(), Reference(base, 0), 0, wanted)
	if err != nil || len(whole.Data) < 2*4096 || len(whole.Data) < wanted && whole.Reason == "" {
		t.Fatalf("%d bytes, %q, %v", len(whole.Data), whole.Reason, err)
	}
	for _, piece := range []int{4096, 5000, len(whole.Data)} {
		data, why, err := s.readPieces(t.Context(), 0, base, wanted, piece)
		if err != nil || !bytes.Equal(data, whole.Data) || (why == "") != (whole.Reason == "") {
			t.Errorf("in pieces of %d: %d bytes, %q, %v; want %d", piece, len(data), why, err, len(whole.Data))
		}
		data, why, err = s.readPieces(t.Context(), 0, base, 8000, piece)
		if err != nil || !bytes.Equal(data, whole.Data[:8000]) || why != "" {
			t.Errorf("8000 bytes in pieces of %d: %d bytes, %q, %v", piece, len(data), why, err)
		}
	}
}
