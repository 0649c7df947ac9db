package dumptest

import (
	"bytes"
	"encoding/hex"
	"strings"
)

const (
	headerSize    = 0x2000
	offType       = 0xf98
	offSpace      = 0xfa0
	offContext    = 0x348
	offException  = 0xf00
	statusBreak   = 0x80000003
	offRuns       = 0x88
	maxHeaderRuns = 42
)

// makeHeader renders a DUMP_HEADER64: first the filler that Windows leaves in
// what nobody sets, then the fields.
func (d *Dump) makeHeader() []byte {
	m := d.m
	h := bytes.Repeat([]byte("PAGE"), headerSize/4)
	u32 := func(off int, v uint32) { le.PutUint32(h[off:], v) }
	u64 := func(off int, v uint64) { le.PutUint64(h[off:], v) }
	copy(h, "PAGEDU64")
	u32(8, 15)
	u32(0xc, m.build())
	u64(0x10, m.Kernel.DTB())
	u64(0x18, m.sym("MmPfnDatabase"))
	u64(0x20, m.sym("PsLoadedModuleList"))
	u64(0x28, m.sym("PsActiveProcessHead"))
	u32(0x30, 0x8664)
	u32(0x34, uint32(m.opts.Processors))
	u32(0x38, m.opts.BugCheck)
	for i, p := range m.opts.Parameters {
		u64(0x40+8*i, p)
	}
	u64(0x80, m.sym("KdDebuggerDataBlock"))
	if n := len(m.phys.runs); n <= maxHeaderRuns {
		u32(offRuns, uint32(n))
		u64(offRuns+8, m.phys.total)
		for i, r := range m.phys.runs {
			u64(offRuns+16+16*i, r.Base)
			u64(offRuns+24+16*i, r.Count)
		}
	} else {
		panic("dumptest: a header holds 42 runs")
	}
	copy(h[offContext:], m.contextBytes(m.crash, false))
	clear(h[offException : offException+0x98])
	u32(offException, statusBreak)
	u64(offException+0x10, m.crash.rip)
	u32(offException+0x18, 1)
	u64(0xfa8, Filetime(SystemTime))
	u64(0x1030, uptimeTicks*tickLength)
	u32(0x1038, 0)
	u32(0x1040, 1)
	u32(0x1044, 0x110)
	u32(0x1048, 0)
	h[0x104d] = 0
	return h
}

// headerFor completes the header for a format and a file size.
func (d *Dump) headerFor(kind uint32, size uint64) []byte {
	h := bytes.Clone(d.header)
	le.PutUint32(h[offType:], kind)
	le.PutUint64(h[offSpace:], size)
	return h
}

// secondaryData renders the blobs behind the last page: the SMBIOS table, and
// an empty one, which is legal.
func secondaryData() []byte {
	var b []byte
	b = append(b, "DumpBlob"...)
	b = le.AppendUint32(b, 0x10)
	b = le.AppendUint32(b, buildNumber)
	blob := func(guid string, data []byte) {
		pad := (8 - len(data)%8) % 8
		b = le.AppendUint32(b, 0x20)
		b = append(b, guidBytes(guid)...)
		b = le.AppendUint32(b, uint32(len(data)))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(pad))
		b = append(append(b, data...), make([]byte, pad)...)
	}
	table := smbios()
	blob("bc5c008f-1e3a-44d7-988d-86f6884c6758", append(le.AppendUint32([]byte{0, 3, 2, 0}, uint32(len(table))), table...))
	blob("00000000-0000-0000-0000-000000000000", nil)
	return b
}

// guidBytes turns a GUID's text into its 16 bytes in memory.
func guidBytes(text string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		panic("dumptest: bad GUID " + text)
	}
	g := bytes.Clone(raw)
	for i, j := range []int{3, 2, 1, 0, 5, 4, 7, 6} {
		g[i] = raw[j]
	}
	return g
}

// smbios renders a small table (DMTF DSP0134): firmware, system, board, end.
func smbios() []byte {
	var t []byte
	structure := func(kind byte, handle uint16, body []byte, text ...string) {
		t = append(t, kind, byte(4+len(body)))
		t = le.AppendUint16(t, handle)
		t = append(t, body...)
		for _, s := range text {
			t = append(append(t, s...), 0)
		}
		if len(text) == 0 {
			t = append(t, 0)
		}
		t = append(t, 0)
	}
	bios := []byte{1, 2, 0, 0xe0, 3, 0x7f, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0x0d, 2, 9, 0xff, 0xff}
	structure(0, 0, bios, "Tidewater Firmware", "TW42 (2.9)", "01/15/2024")
	system := append([]byte{1, 2, 3, 4}, bytes.Repeat([]byte{0x5a}, 16)...)
	structure(1, 1, append(system, 6, 5, 6), "Tidewater", "Jetty 7", "Rev C", "TW-0001", "JETTY-7-C", "Jetty")
	structure(2, 2, []byte{1, 2, 3, 0, 0, 9, 0, 0, 0, 10, 0}, "Tidewater", "JT7-MAIN", "1.1")
	structure(127, 3, nil)
	return t
}
