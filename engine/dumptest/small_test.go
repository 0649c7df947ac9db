package dumptest

import (
	"testing"
)

func TestSmallWrites(t *testing.T) {
	d := Small()
	for _, f := range Formats {
		b := d.Bytes(f)
		if string(b[:8]) != "PAGEDU64" || Format(le.Uint32(b[offType:])) != f {
			t.Errorf("format %d: wrong header", f)
		}
		if got := le.Uint64(b[offSpace:]); got != uint64(len(b)) {
			t.Errorf("format %d: RequiredDumpSpace %#x, file %#x", f, got, len(b))
		}
	}
}
