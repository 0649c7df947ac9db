package pdb

import (
	"cmp"
	"fmt"
	"slices"
)

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
