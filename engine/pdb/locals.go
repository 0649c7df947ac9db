package pdb

import (
	"cmp"
	"fmt"
	"slices"

	"kdap/engine/types"
)

// Flags of S_LOCAL.
const (
	LocalParam       = 0x0001
	LocalAddrTaken   = 0x0002
	LocalCompiler    = 0x0004 // made by the compiler
	LocalAggregate   = 0x0008 // split into several variables
	LocalAliased     = 0x0020
	LocalAlias       = 0x0040
	LocalReturn      = 0x0080 // holds the return value
	LocalOptimized   = 0x0100 // optimised out
	LocalGlobal      = 0x0200 // a global in a register
	LocalStatic      = 0x0400 // a static in a register
	localParamByRule = 0x10000
)

// A LocKind is the sort of place where a variable lies.
type LocKind uint8

// The kinds of places.
const (
	LocRegister LocKind = iota // in a register
	LocRegRel                  // in memory at register + offset
	LocStatic                  // at RVA
	LocConst                   // nowhere: Local.Value
	LocThread                  // in the thread's static data
)

// A Range is a piece of code, relative to the image's base.
type Range struct{ RVA, Size uint32 }

// Contains reports whether an address lies in the range.
func (r Range) Contains(rva uint32) bool { return rva-r.RVA < r.Size }

// A Location is where a variable, or a part of it, lies in some range of code.
type Location struct {
	Kind       LocKind
	Reg        uint16 // CodeView register number; RegName names it
	Offset     int32  // LocRegRel
	RVA        uint32 // LocStatic
	Everywhere bool   // in the whole scope; Range and Gaps do not count then
	Range      Range
	Gaps       []Range // parts of Range where it is not there
	Part       bool    // only the part of the variable at PartOff is there
	PartOff    uint32

	viaFrame bool // Reg is the frame's, the record does not name it
}

// Covers reports whether the location holds at an address.
func (l *Location) Covers(rva uint32) bool {
	if l.Everywhere {
		return true
	}
	if !l.Range.Contains(rva) {
		return false
	}
	for _, g := range l.Gaps {
		if g.Contains(rva) {
			return false
		}
	}
	return true
}

// A Local is a variable, parameter, static or constant of a scope.
type Local struct {
	Name      string
	Kind      uint16 // record: SLocal, SRegRel32, SBPRel32, SRegister, SLData32, SConstant …
	TI        uint32
	Flags     uint32
	Value     uint64 // SConstant
	Locations []Location

	// Duplicate marks the second record of a variable: compilers write an
	// S_REGREL32 for old debuggers beside the S_LOCAL that knows more.
	Duplicate bool

	f *File
}

// Type returns the variable's type.
func (l *Local) Type() *types.Type { return l.f.ResolvedType(l.TI) }

// IsParam reports whether the variable is a parameter.
func (l *Local) IsParam() bool { return l.Flags&(LocalParam|localParamByRule) != 0 }

// At returns where the variable lies at an address; several places hold its
// parts. None means that its value is not available there.
func (l *Local) At(rva uint32) []Location {
	var out []Location
	for _, loc := range l.Locations {
		if loc.Covers(rva) {
			if !loc.Part {
				return []Location{loc}
			}
			out = append(out, loc)
		}
	}
	return out
}

// A Scope is a procedure's body, a block in it, or an inlined function.
type Scope struct {
	Name   string  // of blocks mostly ""
	Range  Range   // of procedures and blocks
	More   []Range // further pieces of code that does not lie in one
	Inline *Inline // of an inlined function
	Locals []Local
	Inner  []*Scope
}

// Covers reports whether the scope's code includes an address.
func (s *Scope) Covers(rva uint32) bool {
	if s.Inline != nil {
		return s.Inline.Covers(rva)
	}
	return s.Range.Contains(rva) || covers(s.More, rva)
}

// place sets where the scope's code lies.
func (s *Scope) place(pieces []Range) {
	if len(pieces) > 0 {
		s.Range, s.More = pieces[0], pieces[1:]
	}
}

// Path returns the scopes that cover an address, from s inward.
func (s *Scope) Path(rva uint32) []*Scope {
	var path []*Scope
	for s != nil && s.Covers(rva) {
		path = append(path, s)
		var in *Scope
		for _, c := range s.Inner {
			if c.Covers(rva) {
				in = c
				break
			}
		}
		s = in
	}
	return path
}

// A Frame is what a procedure's frame record says.
type Frame struct {
	Size       uint32 // bytes of locals
	Pad        uint32
	PadOff     uint32
	SavedRegs  uint32
	HandlerOff uint32
	HandlerSeg uint16
	Flags      uint32
	LocalReg   uint16 // register that variables are relative to; 0 for none
	ParamReg   uint16 // register that parameters are relative to
}

// A Body is a procedure's inside.
type Body struct {
	Scope
	Frame    Frame
	HasFrame bool
}

// frameReg decodes the two bits that name a frame register.
func frameReg(machine uint16, code uint32) uint16 {
	switch machine {
	case 0x8664:
		return [4]uint16{0, RegRSP, RegRBP, RegR13}[code&3]
	case 0x14c:
		return [4]uint16{0, RegVFrame, RegEBP, RegEBX}[code&3]
	case 0xaa64:
		return [4]uint16{0, RegARM64SP, RegARM64FP, 0}[code&3]
	}
	return 0
}

// maxNesting bounds blocks in blocks. Compilers inline a few dozen deep.
const maxNesting = 512

// Body decodes the procedure's variables, blocks and inlined functions. What
// was read before damage comes with the error.
func (p *Proc) Body() (*Body, error) {
	ms := p.f.module(p.Module)
	body := &Body{Scope: Scope{Name: p.Name, Range: Range{p.RVA, p.Size}}}
	body.place(p.f.pieces(p.Seg, p.Off, p.Size))
	w := &bodyReader{p: p, ms: ms, body: body, stack: []*Scope{&body.Scope}, inside: map[uint32]bool{}}
	_, _, off, err := ms.s.recordAt(p.RecOff)
	if err == nil {
		err = w.read(off, 0)
	}
	for _, part := range p.parts(ms) {
		body.More = append(body.More, p.f.pieces(part.seg, part.off, part.size)...)
		if err != nil || w.inside[part.rec] {
			continue
		}
		// It has records of its own behind those of the procedure.
		w.stack = []*Scope{&body.Scope}
		err = w.read(part.rec, 1)
	}
	w.finish()
	return body, err
}

// parts is the procedure's separated code. Where the next records are not of
// such code there is none that needs to be looked for.
func (p *Proc) parts(ms *moduleState) []sepCode {
	for off := p.RecOff; off < min(p.end, ms.symEnd()); {
		kind, _, next, err := ms.s.recordAt(off)
		if err != nil {
			return nil
		}
		if kind == SSepCode {
			return ms.separated().of[p.RecOff]
		}
		off = next
	}
	if _, _, next, err := ms.s.recordAt(p.end); err == nil && p.end > p.RecOff && next < ms.symEnd() {
		if kind, _, _, err := ms.s.recordAt(next); err == nil && kind == SSepCode {
			return ms.separated().of[p.RecOff]
		}
	}
	return nil
}

// read reads records from an offset on until no more than depth scopes are open.
func (w *bodyReader) read(off uint32, depth int) error {
	for {
		if off >= w.ms.symEnd() {
			return &FormatError{w.ms.s.name, int64(off), "procedure " + w.p.Name + " has no end"}
		}
		kind, b, next, err := w.ms.s.recordAt(off)
		if err == nil {
			err = w.record(kind, off, &decoder{record: fmt.Sprintf("symbol record %#x", kind), b: b, base: int64(off) + 4})
		}
		if err != nil || len(w.stack) <= depth {
			return err
		}
		off = next
	}
}

type bodyReader struct {
	p     *Proc
	ms    *moduleState
	body  *Body
	stack []*Scope
	last  *Local // that DEFRANGE records belong to

	inside map[uint32]bool // records of separated code among the procedure's own
}

func (w *bodyReader) top() *Scope { return w.stack[len(w.stack)-1] }

func (w *bodyReader) add(l Local) {
	l.f = w.p.f
	s := w.top()
	s.Locals = append(s.Locals, l)
	w.last = &s.Locals[len(s.Locals)-1]
}

func (w *bodyReader) push(s *Scope) error {
	if len(w.stack) >= maxNesting {
		return &FormatError{w.ms.s.name, int64(w.p.RecOff), "blocks are nested too deep"}
	}
	t := w.top()
	t.Inner = append(t.Inner, s)
	w.stack = append(w.stack, s)
	w.last = nil
	return nil
}

func (w *bodyReader) record(kind uint16, off uint32, d *decoder) error {
	f := w.p.f
	if closesScope(kind) {
		w.stack = w.stack[:len(w.stack)-1]
		w.last = nil
		return nil
	}
	switch kind {
	case SBlock32:
		d.u32()
		d.u32()
		size, off, seg := d.u32(), d.u32(), d.u16()
		s := &Scope{Name: d.strz()}
		s.place(f.pieces(seg, off, size))
		if d.err == nil {
			return w.push(s)
		}
	case SSepCode:
		if part, _, ok := sepCodeOf(d.b, off); ok {
			w.inside[off] = true
			s := &Scope{}
			s.place(f.pieces(part.seg, part.off, part.size))
			return w.push(s)
		}
	case SInlineSite, SInlineSite2:
		d.u32()
		d.u32()
		id := d.u32()
		if kind == SInlineSite2 {
			d.u32()
		}
		if d.err == nil {
			in := w.ms.inline(w.p, id, d.b[d.off:])
			return w.push(&Scope{Name: in.Name, Inline: in})
		}
	case SFrameProc:
		w.frame(d)
	case SLocal:
		l := Local{Kind: kind, TI: d.u32(), Flags: uint32(d.u16())}
		l.Name = d.strz()
		w.add(l)
	case SFileStatic:
		l := Local{Kind: kind, TI: d.u32()}
		d.u32()
		l.Flags = uint32(d.u16())
		l.Name = d.strz()
		w.add(l)
	case SRegRel32:
		off, ti, reg := int32(d.u32()), d.u32(), d.u16()
		w.add(Local{Kind: kind, TI: ti, Name: d.strz(), Locations: []Location{{Kind: LocRegRel, Reg: reg, Offset: off, Everywhere: true}}})
	case SBPRel32:
		off, ti := int32(d.u32()), d.u32()
		reg := uint16(RegEBP)
		if f.dbi.machine == 0x8664 {
			reg = RegRBP
		}
		l := Local{Kind: kind, TI: ti, Name: d.strz(), Locations: []Location{{Kind: LocRegRel, Reg: reg, Offset: off, Everywhere: true}}}
		if off > 0 {
			l.Flags |= localParamByRule
		}
		w.add(l)
	case SRegister:
		ti, reg := d.u32(), d.u16()
		w.add(Local{Kind: kind, TI: ti, Name: d.strz(), Locations: []Location{{Kind: LocRegister, Reg: reg, Everywhere: true}}})
	case SLData32, SGData32, SLThread32, SGThread32:
		ti, off, seg := d.u32(), d.u32(), d.u16()
		loc := Location{Kind: LocStatic, Everywhere: true}
		loc.RVA, _ = f.RVA(seg, off)
		if kind == SLThread32 || kind == SGThread32 {
			loc.Kind, loc.RVA = LocThread, off
		}
		w.add(Local{Kind: kind, TI: ti, Name: d.strz(), Locations: []Location{loc}})
	case SConstant:
		ti, v := d.u32(), d.numeric()
		w.add(Local{Kind: kind, TI: ti, Value: v, Name: d.strz(), Locations: []Location{{Kind: LocConst, Everywhere: true}}})
	case SDefRange, SDefRangeSub, SDefRangeReg, SDefRangeFP, SDefRangeSReg, SDefRangeFull, SDefRangeRel:
		w.defRange(kind, d)
	default:
		if opensScope(kind) {
			return w.push(&Scope{Range: w.top().Range, More: w.top().More})
		}
	}
	return d.err
}

func (w *bodyReader) frame(d *decoder) {
	fr := Frame{
		Size: d.u32(), Pad: d.u32(), PadOff: d.u32(), SavedRegs: d.u32(), HandlerOff: d.u32(), HandlerSeg: d.u16(), Flags: d.u32(),
	}
	if d.err != nil || len(w.stack) != 1 {
		return
	}
	fr.LocalReg = frameReg(w.p.f.dbi.machine, fr.Flags>>14)
	fr.ParamReg = frameReg(w.p.f.dbi.machine, fr.Flags>>16)
	w.body.Frame, w.body.HasFrame = fr, true
}

// defRange adds a place to the variable before it.
func (w *bodyReader) defRange(kind uint16, d *decoder) {
	loc := Location{}
	switch kind {
	case SDefRange, SDefRangeSub: // a program in a language never published
		return
	case SDefRangeReg:
		loc.Kind, loc.Reg = LocRegister, d.u16()
		d.u16()
	case SDefRangeSReg:
		loc.Kind, loc.Reg = LocRegister, d.u16()
		d.u16()
		loc.Part, loc.PartOff = true, d.u32()&0xfff
	case SDefRangeFP, SDefRangeFull:
		loc.Kind, loc.Offset = LocRegRel, int32(d.u32())
		loc.Everywhere = kind == SDefRangeFull
		loc.viaFrame = true
	case SDefRangeRel:
		loc.Kind, loc.Reg = LocRegRel, d.u16()
		flags := d.u16()
		loc.Part, loc.PartOff = flags&1 != 0, uint32(flags>>4)
		loc.Offset = int32(d.u32())
	}
	if w.last == nil {
		return
	}
	if loc.Everywhere {
		w.last.Locations = append(w.last.Locations, loc)
		return
	}
	off, seg, size := d.u32(), d.u16(), uint32(d.u16())
	var gaps []Range // counted from the start
	for d.left() >= 4 {
		gaps = append(gaps, Range{uint32(d.u16()), uint32(d.u16())})
	}
	if d.err != nil {
		return
	}
	if len(w.p.f.omapFrom()) > 0 {
		w.rearranged(loc, seg, off, size, gaps)
		return
	}
	loc.Range.RVA, _ = w.p.f.RVA(seg, off)
	loc.Range.Size = size
	for _, g := range gaps {
		loc.Gaps = append(loc.Gaps, Range{loc.Range.RVA + g.RVA, g.Size})
	}
	w.last.Locations = append(w.last.Locations, loc)
}

// rearranged adds a place of a variable in an image that was rearranged: one
// for each piece of code, without the gaps.
func (w *bodyReader) rearranged(loc Location, seg uint16, off, size uint32, gaps []Range) {
	slices.SortFunc(gaps, func(a, b Range) int { return cmp.Compare(a.RVA, b.RVA) })
	at := uint32(0)
	until := func(end uint32) {
		if end > at {
			for _, r := range w.p.f.pieces(seg, off+at, end-at) {
				loc.Range = r
				w.last.Locations = append(w.last.Locations, loc)
			}
		}
	}
	for _, g := range gaps {
		until(min(g.RVA, size))
		at = max(at, g.RVA+g.Size)
	}
	until(size)
}

// finish does what needs the whole procedure: the frame record may stand
// behind the variables that lie in the frame.
func (w *bodyReader) finish() {
	w.settle(&w.body.Scope)
	w.markParams()
}

func (w *bodyReader) settle(s *Scope) {
	for i := range s.Locals {
		l := &s.Locals[i]
		for j := range l.Locations {
			switch loc := &l.Locations[j]; {
			case !loc.viaFrame:
			case l.IsParam():
				loc.Reg = w.body.Frame.ParamReg
			default:
				loc.Reg = w.body.Frame.LocalReg
			}
		}
		if l.Kind != SLocal {
			l.Duplicate = hasLocal(s.Locals[:i], l)
		}
	}
	for _, in := range s.Inner { // as deep as maxNesting
		w.settle(in)
	}
}

// maxLocals bounds the search for duplicates, which is quadratic.
const maxLocals = 1000

func hasLocal(before []Local, l *Local) bool {
	if l.Kind != SRegRel32 && l.Kind != SBPRel32 && l.Kind != SRegister || len(before) > maxLocals {
		return false
	}
	for i := range before {
		if b := &before[i]; b.Kind == SLocal && b.Name == l.Name && b.TI == l.TI {
			return true
		}
	}
	return false
}

// markParams marks the parameters among variables whose records do not say it.
// They lie above the frame: of those relative to a register the ones with the
// highest offsets, as many as the function's type has arguments.
func (w *bodyReader) markParams() {
	locals := w.body.Locals
	fn := w.p.Type().Func()
	n := len(fn.Params)
	if fn.Class != nil {
		n++ // this; of static member functions a local too many may count
	}
	for ; n > 0; n-- {
		best := -1
		for i := range locals {
			l := &locals[i]
			if l.Kind != SRegRel32 || l.IsParam() {
				continue
			}
			loc := l.Locations[0]
			if loc.Reg == RegRSP && uint64(int64(loc.Offset)) <= uint64(w.body.Frame.Size) {
				continue
			}
			if best < 0 || loc.Offset > locals[best].Locations[0].Offset {
				best = i
			}
		}
		if best < 0 {
			return
		}
		locals[best].Flags |= localParamByRule
	}
}
