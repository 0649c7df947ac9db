// Package disasm decodes x86 instructions of 64-, 32- and 16-bit code and
// prints them as WinDbg does.
//
// The decoder is driven by tables of our own (the .ops files): the encodings
// are those of the Intel and AMD manuals, the spelling and the treatment of
// what the manuals leave undefined were measured with WinDbg's engine.
// golang.org/x/arch/x86/x86asm refuses or misreads instructions that Windows
// kernels hold (stac, rdsspq, incsspq, clwb) and has no form for much of what
// must be printed, so it does not decode here: it serves the tests as a second
// opinion on lengths.
//
// Nothing here panics on bytes, and everything ends: an instruction is at most
// 15 bytes long, and the searches are bounded. All functions are safe for
// concurrent use.
package disasm

import "errors"

// A Mode is the width of code that bytes are decoded as.
type Mode uint8

// The modes of the processor.
const (
	Mode16 Mode = 16
	Mode32 Mode = 32
	Mode64 Mode = 64
)

// MaxLen is the length of the longest instruction.
const MaxLen = 15

// Why bytes are no instruction.
var (
	ErrInvalid   = errors.New("invalid instruction")
	ErrTruncated = errors.New("instruction continues past the readable bytes")
)

// An Inst is one decoded instruction. What could not be decoded is an Inst too:
// one byte long, without a mnemonic.
type Inst struct {
	Mode     Mode
	Len      int    // in bytes
	Prefix   string // words that stand before the mnemonic: "lock", "rep", "xacquire lock"
	Mnemonic string
	Suffix   string // rounding of AVX-512, after the operands: "{rn-sae}"
	Flow     Flow
	Cond     Cond // of a conditional branch
	OpSize   int  // operand size in bits
	AddrSize int  // address size in bits

	args  [5]Arg
	nargs int
	rep   bool // a string instruction repeats
	noMem bool // the memory operand is not read or written: lea, nop, prefetch
}

// Args returns the operands in the order they are printed.
func (i *Inst) Args() []Arg { return i.args[:i.nargs] }

// Valid reports whether the bytes were an instruction.
func (i *Inst) Valid() bool { return i.Mnemonic != "" }

// A Flow is what an instruction does to the flow of control.
type Flow uint8

// The kinds of flow.
const (
	Next   Flow = iota // goes on with the next instruction
	Call               // calls, then goes on
	Jump               // always goes elsewhere
	Branch             // may go elsewhere
	Return             // goes to where the stack says
	Trap               // int, ud2
)

// A Cond is what a conditional branch tests.
type Cond uint8

// The conditions: the sixteen of the flags, numbered as in their opcodes, and
// those of the count register.
const (
	CondO Cond = iota
	CondNO
	CondB
	CondAE
	CondE
	CondNE
	CondBE
	CondA
	CondS
	CondNS
	CondP
	CondNP
	CondL
	CondGE
	CondLE
	CondG
	CondLoopNE
	CondLoopE
	CondLoop
	CondCXZ
	CondNone
)

// An ArgKind tells which fields of an Arg count.
type ArgKind uint8

// The kinds of operand.
const (
	ArgReg    ArgKind = iota + 1
	ArgImm            // Imm, Size
	ArgMem            // Mem
	ArgTarget         // Imm is the distance from the next instruction
	ArgFar            // Imm the offset, Selector
)

// An Arg is one operand.
type Arg struct {
	Kind     ArgKind
	Reg      Reg
	Imm      uint64 // extended to Size
	Size     int    // of an immediate or offset, in bits
	Selector uint16
	Mem      Mem
	Mask     uint8 // AVX-512 mask register, 0 for none
	Zero     bool  // masked elements are zeroed: {z}
}

// A Mem is a memory operand.
type Mem struct {
	Segment Reg    // explicit segment, or none
	Base    Reg    // class IP: relative to the next instruction
	Index   Reg    // a vector for gather and scatter
	Scale   uint8  // 1, 2, 4, 8
	Disp    int64  // the address itself when there is no register
	Word    string // "dword", "mmword"; "" when the operand has no size
	Size    int    // bytes
	Bcast   bool   // one element, for all of the vector
	Offset  bool   // absolute address of a0 to a3, printed with all digits
	disp32  bool   // the displacement is wide enough for an address
	disp16  bool   // 16-bit addressing with a word of displacement
	text    bool   // operand of a string instruction
}

// Target returns where a direct call, jump or branch at addr leads to.
func (i *Inst) Target(addr uint64) (uint64, bool) {
	for _, a := range i.Args() {
		if a.Kind == ArgTarget {
			return i.relative(addr, a.Imm), true
		}
	}
	return 0, false
}

// relative adds to the next instruction's address, cut to what the
// instruction's mode and operand size leave of it.
func (i *Inst) relative(addr, distance uint64) uint64 {
	t := addr + uint64(i.Len) + distance
	switch {
	case i.OpSize == 16:
		return t & 0xffff
	case i.Mode != Mode64:
		return t & 0xffffffff
	}
	return t
}

// Address returns the address of a memory operand that needs no general
// register, at an instruction at addr.
func (i *Inst) Address(addr uint64, m *Mem) (uint64, bool) {
	switch {
	case m.Base.Class == IP:
		return addr + uint64(i.Len) + uint64(m.Disp), true
	case m.Base.Class == NoClass && m.Index.Class == NoClass:
		return uint64(m.Disp), true
	}
	return 0, false
}
