package disasm

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/memory"
)

// Registers gives the values of registers, false for those that are not known.
// The class Flags asks for the flags register.
type Registers interface {
	Register(r Reg) (uint64, bool)
}

// Flags is the class of the flags register, which no operand names.
const Flags RegClass = 0xff

// An Access is a memory operand of an instruction with its address.
type Access struct {
	Segment Reg    // the segment it goes through; its base is not in Addr
	Addr    uint64 // offset in the segment
	Size    int    // bytes to show, 1 for operands without a size
	Arg     int    // which operand
}

// Accesses returns the memory that the instruction at addr reads or writes
// through its operands, as the line of the current instruction shows it:
// nothing for repeated string instructions and for those that only name an
// address (lea, nop, prefetch), nor the stack slots of push and ret.
// Operands that need an unknown register, or one vector element each, are left
// out.
func (i *Inst) Accesses(addr uint64, regs Registers) []Access {
	if !i.Valid() || i.noMem || i.rep {
		return nil
	}
	var out []Access
	for k := range i.Args() {
		a := &i.args[k]
		if a.Kind != ArgMem {
			continue
		}
		at, ok := i.offset(addr, &a.Mem, regs)
		if !ok {
			continue
		}
		size := a.Mem.Size
		switch {
		case a.Mem.Word == "", size >= 32:
			size = 1
		case strings.HasSuffix(i.Mnemonic, "pextrb"), strings.HasSuffix(i.Mnemonic, "pextrw"):
			size = 4
		}
		out = append(out, Access{Segment: a.Mem.segment(), Addr: at, Size: size, Arg: k})
	}
	return out
}

// segment returns the segment that an access goes through.
func (m *Mem) segment() Reg {
	switch {
	case m.Segment.Class != NoClass:
		return m.Segment
	case (m.Base.Class == Qword || m.Base.Class == Dword) && (m.Base.Num == 4 || m.Base.Num == 5):
		return ss
	case m.Base.Class == Word && m.Base.Num == 5:
		return ss
	}
	return ds
}

// offset computes base + index·scale + displacement, cut to the address size.
func (i *Inst) offset(addr uint64, m *Mem, regs Registers) (uint64, bool) {
	if at, ok := i.Address(addr, m); ok {
		return i.cut(at), true
	}
	at := uint64(m.Disp)
	for _, part := range []struct {
		r     Reg
		scale uint8
	}{{m.Base, 1}, {m.Index, m.Scale}} {
		switch part.r.Class {
		case NoClass:
			continue
		case XMM, YMM, ZMM:
			return 0, false
		}
		v, ok := regs.Register(part.r)
		if !ok {
			return 0, false
		}
		at += v * uint64(part.scale)
	}
	return i.cut(at), true
}

func (i *Inst) cut(at uint64) uint64 {
	if i.AddrSize < 64 {
		at &= 1<<i.AddrSize - 1
	}
	return at
}

// Taken reports whether a conditional branch is taken with these registers;
// ok is false for other instructions and when a register is not known. The
// count register of loop is tested after it is decremented.
func (i *Inst) Taken(regs Registers) (taken, ok bool) {
	if i.Flow != Branch || i.Cond == CondNone {
		return false, false
	}
	flags, ok := regs.Register(Reg{Class: Flags})
	if i.Cond < CondLoopNE {
		return ok && i.Cond.holds(flags), ok
	}
	class := map[int]RegClass{16: Word, 32: Dword, 64: Qword}[i.AddrSize]
	count, known := regs.Register(Reg{class, rcx.Num})
	if !known {
		return false, false
	}
	again := i.cut(count-1) != 0
	zero := flags&flagZF != 0
	switch i.Cond {
	case CondCXZ:
		return i.cut(count) == 0, true
	case CondLoop:
		return again, true
	case CondLoopE:
		return again && zero, ok
	}
	return again && !zero, ok
}

// Bits of the flags register.
const (
	flagCF = 1 << 0
	flagPF = 1 << 2
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagOF = 1 << 11
)

// holds evaluates one of the sixteen conditions of the flags. The odd ones are
// the opposites of the even ones.
func (c Cond) holds(flags uint64) bool {
	less := flags&flagSF != 0 != (flags&flagOF != 0)
	var v bool
	switch c &^ 1 {
	case CondO:
		v = flags&flagOF != 0
	case CondB:
		v = flags&flagCF != 0
	case CondE:
		v = flags&flagZF != 0
	case CondBE:
		v = flags&(flagCF|flagZF) != 0
	case CondS:
		v = flags&flagSF != 0
	case CondP:
		v = flags&flagPF != 0
	case CondL:
		v = less
	case CondLE:
		v = less || flags&flagZF != 0
	}
	return v != (c&1 != 0)
}

// Effective returns what the line of the current instruction has behind its
// operands: memory operands with address and value, where an indirect call or
// jump leads to, or whether a branch is taken. selectors adds the segment's
// selector, as on kernel dumps and for 32-bit code.
func (i *Inst) Effective(addr uint64, regs Registers, mem memory.Space, selectors bool, o *Options) string {
	if taken, ok := i.Taken(regs); ok {
		if taken {
			return "[br=1]"
		}
		return "[br=0]"
	}
	var parts []string
	for _, a := range i.Accesses(addr, regs) {
		s := a.Segment.String() + ":"
		if sel, ok := regs.Register(a.Segment); ok && selectors {
			s += fmt.Sprintf("%04x:", uint16(sel))
		}
		parts = append(parts, s+o.Address(a.Addr)+"="+i.value(&a, mem, o))
	}
	return strings.Join(parts, " ")
}

// value reads what an access would and formats it.
func (i *Inst) value(a *Access, mem memory.Space, o *Options) string {
	b := make([]byte, a.Size)
	n, err := mem.Read(a.Addr, b)
	if err != nil || n < len(b) {
		return strings.Repeat("?", 2*a.Size)
	}
	if (i.Flow == Call || i.Flow == Jump) && (a.Size == 4 || a.Size == 8) {
		var v [8]byte
		copy(v[:], b)
		if s, ok := o.symbol(binary.LittleEndian.Uint64(v[:])); ok {
			return "{" + s + "}"
		}
	}
	slices.Reverse(b)
	return hex.EncodeToString(b)
}

// Current returns the line of the current instruction: the item's line with
// its effective operands at the right edge of the window, or behind the
// operands when they do not fit.
func (it *Item) Current(regs Registers, mem memory.Space, selectors bool, o Options) string {
	line := it.Line(o)
	if it.State != Decoded {
		return line
	}
	extra := it.Inst.Effective(it.Addr, regs, mem, selectors, &o)
	if extra == "" {
		return line
	}
	width := 79
	if o.IgnoreOutputWidth {
		width = 99
	}
	return line + strings.Repeat(" ", max(1, width-len(line)-len(extra))) + extra
}

// Registers returns the general registers that the operands name, in their
// order, as r. shows them.
func (i *Inst) Registers() []Reg {
	var out []Reg
	add := func(r Reg) {
		switch r.Class {
		case Byte, High, Word, Dword, Qword:
			out = append(out, r)
		}
	}
	for k := range i.Args() {
		switch a := &i.args[k]; a.Kind {
		case ArgReg:
			add(a.Reg)
		case ArgMem:
			add(a.Mem.Base)
			add(a.Mem.Index)
		}
	}
	return out
}
