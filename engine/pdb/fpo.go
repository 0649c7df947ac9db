package pdb

import "sort"

// An FPO record describes the frame of an x86 procedure without a frame
// pointer, in the older form.
type FPO struct {
	RVA, Size uint32
	Locals    uint32 // bytes
	Params    uint32 // bytes
	Prolog    uint8
	SavedRegs uint8 // number of registers saved
	HasSEH    bool
	UsesBP    bool // EBP is used as a general register
	FrameType uint8
}

// FrameData describes a piece of x86 code by a small program over the stack.
type FrameData struct {
	RVA, Size uint32
	Locals    uint32
	Params    uint32
	MaxStack  uint32
	Program   string // "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + ="
	Prolog    uint16
	SavedRegs uint16
	HasSEH    bool
	HasEH     bool
	Start     bool // the piece is the start of a function
}

const (
	fpoLen       = 16
	frameDataLen = 32
)

func (f *File) readFPO() []FPO {
	s := f.debugStream(dbgFPO, "FPO stream")
	n := s.len() / fpoLen
	if n == 0 {
		return nil
	}
	d := s.decoder(s.name, 0, n*fpoLen)
	var out []FPO
	for range n {
		r := FPO{RVA: d.u32(), Size: d.u32(), Locals: d.u32() * 4, Params: uint32(d.u16()) * 4}
		a := d.u16()
		r.Prolog, r.SavedRegs = uint8(a), uint8(a>>8&7)
		r.HasSEH, r.UsesBP, r.FrameType = a>>11&1 != 0, a>>12&1 != 0, uint8(a>>14)
		if d.err != nil {
			break
		}
		out = append(out, r)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].RVA < out[j].RVA })
	return out
}

type rawFrame struct {
	FrameData
	program uint32
}

func (f *File) readFrames() []rawFrame {
	s := f.debugStream(dbgNewFPO, "frame data stream")
	n := s.len() / frameDataLen
	if n == 0 {
		return nil
	}
	d := s.decoder(s.name, 0, n*frameDataLen)
	var out []rawFrame
	for range n {
		r := rawFrame{FrameData: FrameData{RVA: d.u32(), Size: d.u32(), Locals: d.u32(), Params: d.u32(), MaxStack: d.u32()}}
		r.program = d.u32()
		r.Prolog, r.SavedRegs = d.u16(), d.u16()
		flags := d.u32()
		r.HasSEH, r.HasEH, r.Start = flags&1 != 0, flags&2 != 0, flags&4 != 0
		if d.err != nil {
			break
		}
		out = append(out, r)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].RVA < out[j].RVA })
	return out
}

// FPOs returns the older frame records by address.
func (f *File) FPOs() []FPO { return f.fpos() }

// FPOAt returns the older frame record that covers an address. Frame records
// are of the image before it was rearranged.
func (f *File) FPOAt(rva uint32) (FPO, bool) {
	rva, ok := omapLookup(f.omapTo(), rva)
	if !ok {
		return FPO{}, false
	}
	all := f.fpos()
	i := sort.Search(len(all), func(i int) bool { return all[i].RVA > rva }) - 1
	if i < 0 || rva-all[i].RVA >= all[i].Size {
		return FPO{}, false
	}
	r := all[i]
	r.RVA, ok = omapLookup(f.omapFrom(), r.RVA)
	return r, ok
}

// maxFrameNesting bounds how far back a piece is looked for that covers an
// address: pieces of a function overlap, the inner ones start later.
const maxFrameNesting = 64

// FrameDataAt returns the innermost piece that covers an address.
func (f *File) FrameDataAt(rva uint32) (FrameData, bool) {
	rva, ok := omapLookup(f.omapTo(), rva)
	if !ok {
		return FrameData{}, false
	}
	all := f.frames()
	i := sort.Search(len(all), func(i int) bool { return all[i].RVA > rva }) - 1
	for k := 0; i >= 0 && k < maxFrameNesting; i, k = i-1, k+1 {
		if rva-all[i].RVA < all[i].Size {
			r := f.frameData(all[i])
			r.RVA, ok = omapLookup(f.omapFrom(), r.RVA)
			return r, ok
		}
	}
	return FrameData{}, false
}

// FrameDataAll returns all pieces by address.
func (f *File) FrameDataAll() []FrameData {
	var out []FrameData
	for _, r := range f.frames() {
		out = append(out, f.frameData(r))
	}
	return out
}

func (f *File) frameData(r rawFrame) FrameData {
	r.Program = f.names().at(r.program)
	return r.FrameData
}
