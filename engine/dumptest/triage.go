package dumptest

import "io"

// writeTriage writes a TRIAGE_DUMP64: no pages, but pieces of the crashing
// processor's virtual memory.
func (d *Dump) writeTriage(out io.WriterAt) (int64, error) {
	m, k := d.m, d.m.Kernel
	c := m.cpus[0]
	b := make([]byte, 0x80) // from 0x2000 on
	pos := func() uint32 { return uint32(headerSize + len(b)) }
	align := func() {
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
	}
	u32 := func(off int, v uint32) { le.PutUint32(b[off:], v) }
	add := func(field int, data []byte) {
		align()
		if field >= 0 {
			u32(field, pos())
		}
		b = append(b, data...)
	}
	u32(0xc, offContext)
	u32(0x10, offException)
	mm := make([]byte, 0x50)
	le.PutUint32(mm, 1)
	le.PutUint32(mm[4:], 0x50)
	add(0x14, mm)

	unloaded := le.AppendUint64(nil, uint64(len(m.truth.Unloaded)))
	for _, u := range m.truth.Unloaded {
		name := utf16Bytes(u.Name)
		short := name[:min(len(name), 24)]
		unloaded = le.AppendUint16(le.AppendUint16(unloaded, uint16(len(short))), 24)
		unloaded = append(unloaded, make([]byte, 12)...)
		unloaded = append(append(unloaded, short...), make([]byte, 24-len(short))...)
		unloaded = le.AppendUint64(le.AppendUint64(unloaded, u.Start), u.End)
	}
	add(0x18, unloaded)
	add(0x1c, k.Read(c.prcb, m.l.size("_KPRCB")))
	process := c.current.p
	add(0x20, k.Read(process.va, m.l.size("_EPROCESS")))
	add(0x24, k.Read(c.current.va, m.l.size("_ETHREAD")))

	top := m.crash.reg[rsp]
	n := int(roundUp(top, pageSize) - top)
	add(0x28, k.Read(top, n))
	u32(0x2c, uint32(n))
	le.PutUint64(b[0x48:], top)

	align()
	u32(0x30, pos())
	u32(0x34, uint32(len(m.modules)))
	entries := len(b)
	b = append(b, make([]byte, 0x90*len(m.modules))...)
	u32(0x38, pos())
	pool := len(b)
	for i, e := range m.truth.Drivers {
		at := b[entries+0x90*i:]
		le.PutUint32(at, pos())
		le.PutUint64(at[0x38:], e.Base)
		le.PutUint32(at[0x48:], e.Size)
		le.PutUint32(at[0x80:], e.CheckSum)
		le.PutUint32(at[0x88:], e.TimeStamp)
		name := utf16Bytes(e.Path)
		b = append(append(le.AppendUint32(b, uint32(len(name)/2)), name...), 0, 0)
		align()
	}
	u32(0x3c, uint32(len(b)-pool))
	u32(0x44, 0xffffffff)
	add(0x70, k.Read(m.sym("KdDebuggerDataBlock"), 0x380))
	u32(0x74, 0x380)

	b = d.triageBlocks(b)
	u32(0x04, pos()+4)
	u32(0x08, pos())
	b = append(b, "TRGD"...)
	b = append(b, d.blobs...)
	size := uint64(headerSize + len(b))
	w := &writer{w: out}
	w.at(headerSize, b)
	h := d.headerFor(uint32(Triage), size)
	for i := offRuns; i < offContext; i += 4 {
		copy(h[i:], "PAGE")
	}
	le.PutUint32(h[0x38:], m.opts.BugCheck|0x10000000)
	le.PutUint32(h[0x1038:], 0xcff)
	w.at(0, h)
	return int64(size), w.err
}

// triageBlocks appends the data blocks and, before them, their list.
func (d *Dump) triageBlocks(b []byte) []byte {
	m := d.m
	type block struct {
		va   uint64
		size int
	}
	idle := m.cpus[0].idle
	blocks := []block{
		{m.sym("KiProcessorBlock"), 8 * len(m.cpus)},
		{m.sym("NtBuildLabEx"), 64},
		{m.sym("KeTimeIncrement"), 4},
		{d.m.nt.base, 0x400},
		{m.cpus[0].kpcr, m.l.offset("_KPCR", "Prcb")},
		{m.Kernel.obj("_KPRCB", m.cpus[0].prcb).get("Context"), m.l.size("_CONTEXT")},
		{idle.kernelTop - pageSize, pageSize},
		{m.byModule["keypad"].base, 0x400},
	}
	list := len(b)
	le.PutUint32(b[0x78:], uint32(headerSize+list))
	le.PutUint32(b[0x7c:], uint32(len(blocks)))
	b = append(b, make([]byte, 16*len(blocks))...)
	for i, x := range blocks {
		at := b[list+16*i:]
		le.PutUint64(at, x.va)
		le.PutUint32(at[8:], uint32(headerSize+len(b)))
		le.PutUint32(at[12:], uint32(x.size))
		b = append(b, m.Kernel.Read(x.va, x.size)...)
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
	}
	return b
}
