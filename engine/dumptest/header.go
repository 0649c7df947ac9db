package dumptest

import "bytes"

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
