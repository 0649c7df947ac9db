package registry

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// cellOf lays bytes down as a cell's content.
func cellOf(words ...any) []byte {
	var b []byte
	for _, w := range words {
		switch w := w.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(w))
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, w)
		case string:
			b = append(b, w...)
		}
	}
	return b
}

func TestParseNode(t *testing.T) {
	b := cellOf("nk", uint16(KeyCompressed), 0, 0, 0, 0x20, 1, 2, 0x40, -1, 3, 0x60, 0x70, -1, 0, 0, 0, 0, 0, uint16(3), uint16(0), "Key")
	n, err := parseNode(b)
	if err != nil || n.Name != "Key" || n.Parent != 0x20 || n.Counts != [2]uint32{1, 2} || n.ValueCount != 3 || n.Lists[1] != NoCell {
		t.Errorf("got %+v, %v", n, err)
	}
	b[0x48] = 4
	if n, err := parseNode(b); err == nil || n.Name != "Key" {
		t.Errorf("a name beyond the cell: %q, %v", n.Name, err)
	}
	if _, err := parseNode(b[:nodeHeader-1]); err == nil {
		t.Error("a short node was read")
	}
}

func TestSubKeyLists(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cell   []byte
		want   []Cell
		nested bool
		why    string
	}{
		{"leaf", cellOf("lf", uint16(2), 0x20, 0, 0x88, 0), []Cell{0x20, 0x88}, false, ""},
		{"hash leaf", cellOf("lh", uint16(1), 0x20, 7, 0, 0), []Cell{0x20}, false, ""},
		{"index", cellOf("li", uint16(2), 0x20, 0x88), []Cell{0x20, 0x88}, false, ""},
		{"root", cellOf("ri", uint16(1), 0x20), []Cell{0x20}, true, ""},
		{"too many", cellOf("li", uint16(9), 0x20), []Cell{0x20}, false, "room for 1"},
		{"no list", cellOf("xx", uint16(9), 0x20), nil, false, "no list"},
		{"short", []byte("li"), nil, false, "too few"},
	} {
		got, nested, err := subKeyList(tt.cell)
		if !slices.Equal(got, tt.want) || nested != tt.nested || (err != nil) != (tt.why != "") || err != nil && !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, %v, %v", tt.name, got, nested, err)
		}
	}
}

func TestTexts(t *testing.T) {
	wide := func(s string) []byte {
		var b []byte
		for _, c := range s {
			b = binary.LittleEndian.AppendUint16(b, uint16(c))
		}
		return b
	}
	for in, want := range map[string][]string{
		"one\x00two\x00\x00":       {"one", "two"},
		"one\x00\x00three\x00\x00": {"one", "", "three"},
		"one":                      {"one"},
		"\x00":                     {""},
		"\x00\x00":                 {""},
		"":                         nil,
	} {
		if got := Texts(wide(in)); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := Text(append(wide("ab\x00"), 'x')); got != "ab\x00\ufffd" {
		t.Errorf("got %q", got)
	}
	if got := Text(wide("ab\x00\x00")); got != "ab" {
		t.Errorf("got %q", got)
	}
}

// TestHashes: the hashes and buckets of a published list of open keys
// (reference/transcripts.md, 8).
func TestHashes(t *testing.T) {
	for path, want := range map[string]struct {
		hash  uint32
		index uint64
	}{
		"": {0, 0},
		`SYNAPTICS\SYNTPENH\ZONECONFIG\DEFAULTS\PALMCHECK GROUP\2FVSCROLL ZONE`:                   {0xf386608f, 1},
		`Microsoft\Windows\CurrentVersion\AppModel\StateRepository\Cache\PackageExternalLocation`: {0x8a10ced9, 1},
		`CLASSES\CLSID\{896664F7-12E1-490F-8782-C0835AFD98FC}\INSTANCE`:                           {0x5c8055db, 2},
	} {
		hash := PathHash(path)
		if index := HashIndex(hash, 1024); hash != want.hash || index != want.index {
			t.Errorf("%s: hash %#x, index %#x", path, hash, index)
		}
	}
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		`HKLM\Software\`: `\REGISTRY\MACHINE\Software`, `\Registry\User`: `\Registry\User`, `hku`: `\REGISTRY\USER`,
		`MACHINE\SYSTEM`: `\REGISTRY\MACHINE\SYSTEM`, `nothing\else`: `\nothing\else`,
	} {
		if got := CleanPath(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// FuzzCells: what the parsers give lies within the cell, however damaged it
// is, and a list that they accept is the list that was written.
func FuzzCells(f *testing.F) {
	f.Add(cellOf("nk", uint16(KeyCompressed), 0, 0, 0, 0x20, 1, 2, 0x40, -1, 3, 0x60, 0x70, -1, 0, 0, 0, 0, 0, uint16(3), uint16(0), "Key"))
	f.Add(cellOf("lf", uint16(2), 0x20, 0, 0x88, 0))
	f.Add(cellOf("ri", uint16(1), 0x20))
	f.Add(cellOf("vk", uint16(4), 4|inlineData, 7, 4, uint16(1), uint16(0), "name"))
	f.Add(cellOf("db", uint16(2), 0x20))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNode(b); err == nil && len(n.Name) > 2*(len(b)-nodeHeader) {
			t.Errorf("a name of %d bytes in a cell of %d", len(n.Name), len(b))
		}
		if v, err := parseValue(b); err == nil && int(v.NameLength) > len(b)-valueHeader {
			t.Errorf("a name of %d bytes in a cell of %d", v.NameLength, len(b))
		}
		if count, _, err := bigData(b); err == nil {
			cells, err := cellList(b, count)
			if 4*len(cells) > len(b) || err == nil && len(cells) != int(count) {
				t.Errorf("%d segments of %d in %d bytes", len(cells), count, len(b))
			}
		}
		cells, nested, err := subKeyList(b)
		if err != nil {
			if 4*len(cells) > len(b) {
				t.Errorf("%d cells in %d bytes", len(cells), len(b))
			}
			return
		}
		signature := "li"
		if nested {
			signature = "ri"
		}
		again := cellOf(signature, uint16(len(cells)))
		for _, c := range cells {
			again = binary.LittleEndian.AppendUint32(again, uint32(c))
		}
		if got, _, err := subKeyList(again); err != nil || !slices.Equal(got, cells) {
			t.Errorf("%v became %v, %v", cells, got, err)
		}
		Text(b)
		Texts(b)
	})
}
