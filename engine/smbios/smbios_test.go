package smbios

import (
	"testing"
)

// small is a table of a system structure and the end marker.
func small() []byte {
	t := []byte{TypeSystem, 8, 1, 0, 1, 2, 0, 3}
	t = append(t, "Tern\x00Harbour 2 \x00\x00"...)
	t = append(t, TypeEnd, 4, 2, 0, 0, 0)
	return append([]byte{0, 3, 1, 0, byte(len(t)), 0, 0, 0}, t...)
}

func TestStructures(t *testing.T) {
	table, err := Parse(small())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []uint8
	for s, err := range table.Structures() {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, s.Type)
		if s.Type != TypeSystem {
			continue
		}
		// Blanks belong to a string; number 3 names a string that is not there.
		for off, want := range map[int]string{4: "Tern", 5: "Harbour 2 ", 6: "", 7: ""} {
			if got, ok := s.Text(off); !ok || got != want {
				t.Errorf("string at %d: %q, %v, want %q", off, got, ok, want)
			}
		}
		if _, ok := s.Text(8); ok {
			t.Error("a field behind the structure's end was read")
		}
	}
	if len(kinds) != 2 || kinds[0] != TypeSystem || kinds[1] != TypeEnd {
		t.Errorf("types %d", kinds)
	}
}

func TestCutTable(t *testing.T) {
	whole := small()
	for n := range len(whole) {
		table, err := Parse(whole[:n])
		if err != nil {
			if n >= 8 {
				t.Errorf("%d bytes: %v", n, err)
			}
			continue
		}
		for range table.Structures() {
		}
	}
}

// FuzzStructures: structures lie one behind the other within the table.
func FuzzStructures(f *testing.F) {
	f.Add(small())
	f.Add(small()[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Parse(b)
		if err != nil {
			return
		}
		next := 0
		for s, err := range table.Structures() {
			if s.Off < next || s.Off+len(s.Data) > len(table.Data) {
				t.Fatalf("structure at %d of %d bytes, the table has %d and the one before ended at %d", s.Off, len(s.Data), len(table.Data), next)
			}
			next = s.Off + len(s.Data)
			s.Fields()
			_ = err
		}
		table.Machine()
	})
}
