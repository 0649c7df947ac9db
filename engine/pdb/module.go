package pdb

import (
	"fmt"
	"iter"
	"sort"
	"sync"
)

// moduleState is what was read of one module: each part on its first use.
type moduleState struct {
	f     *File
	m     *Module
	s     *stream // nil when the module has none
	procs func() []procEntry
	lines func() *moduleLines

	separated func() *separated
}

// procEntry is where a procedure lies and where its record is.
type procEntry struct {
	seg       uint16
	off, size uint32
	rec       uint32
}

func (f *File) module(i int) *moduleState {
	m, ok := f.moduleByIndex(i)
	if !ok {
		return nil
	}
	if v, ok := f.modStates.Load(i); ok {
		return v.(*moduleState)
	}
	ms := &moduleState{f: f, m: m, s: f.m.stream(uint32(m.stream), fmt.Sprintf("stream of module %d", i))}
	if ms.s != nil && uint64(m.symBytes)+uint64(m.c11Bytes)+uint64(m.c13Bytes) > uint64(ms.s.len()) {
		ms.s = nil
	}
	ms.procs = sync.OnceValue(ms.readProcs)
	ms.lines = sync.OnceValue(ms.readLines)
	ms.separated = sync.OnceValue(ms.readSeparated)
	v, _ := f.modStates.LoadOrStore(i, ms)
	return v.(*moduleState)
}

// symEnd is the offset behind the last symbol record.
func (ms *moduleState) symEnd() uint32 {
	if ms.s == nil {
		return 0
	}
	return ms.m.symBytes
}

func isProc(kind uint16) bool {
	switch kind {
	case SGProc32, SLProc32, SGProc32ID, SLProc32ID, SLProc32DPC, SLProc32DPCID:
		return true
	}
	return false
}

// opensScope reports whether records up to a matching end belong to this one.
func opensScope(kind uint16) bool {
	switch kind {
	case SThunk32, SBlock32, SWith32, SInlineSite, SInlineSite2, SSepCode:
		return true
	}
	return isProc(kind)
}

func closesScope(kind uint16) bool { return kind == SEnd || kind == SProcIDEnd || kind == SInlineEnd }

// readProcs lists the procedures by address. It steps from the head of each to
// its end record, so what is inside is not read.
func (ms *moduleState) readProcs() []procEntry {
	var out []procEntry
	end := ms.symEnd()
	for off := uint32(4); off < end; {
		kind, b, next, err := ms.s.recordAt(off)
		if err != nil {
			break
		}
		if isProc(kind) {
			d := decoder{b: b}
			d.u32()
			last := d.u32()
			d.u32()
			p := procEntry{size: d.u32(), rec: off}
			d.bytes(12)
			p.off, p.seg = d.u32(), d.u16()
			if d.err == nil {
				out = append(out, p)
			}
			if last > off && last < end {
				if k, _, n, err := ms.s.recordAt(last); err == nil && closesScope(k) {
					next = n
				}
			}
		}
		off = next
	}
	sort.SliceStable(out, func(i, j int) bool { return segOff(out[i].seg, out[i].off) < segOff(out[j].seg, out[j].off) })
	return out
}

// nearest returns the index of the last procedure at or below a place, or -1.
func nearest(procs []procEntry, key uint64) int {
	return sort.Search(len(procs), func(i int) bool { return segOff(procs[i].seg, procs[i].off) > key }) - 1
}

// Records yields the kinds, offsets and sizes of a module's symbol records.
func (f *File) Records(module int) iter.Seq2[uint32, uint16] {
	return func(yield func(uint32, uint16) bool) {
		ms := f.module(module)
		if ms == nil {
			return
		}
		for off := uint32(4); off < ms.symEnd(); {
			kind, _, next, err := ms.s.recordAt(off)
			if err != nil || !yield(off, kind) {
				return
			}
			off = next
		}
	}
}

// A Compiler is what a module says of the tool that made it.
type Compiler struct {
	Object   string // S_OBJNAME
	Language uint8  // 0 C, 1 C++, 3 MASM, 7 linker, …
	Flags    uint32
	Machine  uint16
	Frontend [4]uint16
	Backend  [4]uint16
	Version  string
}

// Compiler returns the compile record of a module.
func (f *File) Compiler(module int) (Compiler, bool) {
	var c Compiler
	ms := f.module(module)
	if ms == nil {
		return c, false
	}
	for off := uint32(4); off < ms.symEnd(); {
		kind, b, next, err := ms.s.recordAt(off)
		if err != nil || isProc(kind) {
			return c, false
		}
		d := decoder{b: b}
		switch kind {
		case SObjName:
			d.u32()
			c.Object = d.strz()
		case SCompile2, SCompile3:
			c.Flags, c.Machine = d.u32(), d.u16()
			c.Language = uint8(c.Flags)
			n := 4
			if kind == SCompile2 {
				n = 3
			}
			for i := range n {
				c.Frontend[i] = d.u16()
			}
			for i := range n {
				c.Backend[i] = d.u16()
			}
			c.Version = d.strz()
			return c, d.err == nil
		}
		off = next
	}
	return c, false
}
