package disasm

import "strconv"

// A RegClass is a family of registers that share their numbering.
type RegClass uint8

// The classes. Byte registers are two: High are ah, ch, dh, bh, numbered 4 to 7
// as in instructions without a REX prefix.
const (
	NoClass RegClass = iota
	Byte
	High
	Word
	Dword
	Qword
	Segment
	Control
	Debug
	Test
	Float // the x87 stack; number 8 is the top written without one, "st"
	MMX
	XMM
	YMM
	ZMM
	Mask
	Bound
	Tile
	IP // 32 or 64, the number tells
)

// A Reg is a register as an operand names it. The zero Reg is none.
type Reg struct {
	Class RegClass
	Num   uint8
}

// The registers that rules are about.
var (
	rax = Reg{Qword, 0}
	rcx = Reg{Qword, 1}
	rdx = Reg{Qword, 2}
	rbx = Reg{Qword, 3}
	rsi = Reg{Qword, 6}
	rdi = Reg{Qword, 7}
	eax = Reg{Dword, 0}
	ecx = Reg{Dword, 1}
	al  = Reg{Byte, 0}
	ax  = Reg{Word, 0}
	cl  = Reg{Byte, 1}
	dx  = Reg{Word, 2}

	es = Reg{Segment, 0}
	cs = Reg{Segment, 1}
	ss = Reg{Segment, 2}
	ds = Reg{Segment, 3}
	fs = Reg{Segment, 4}
	gs = Reg{Segment, 5}
)

var (
	byteNames  = [...]string{"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"}
	highNames  = [...]string{"", "", "", "", "ah", "ch", "dh", "bh"}
	wordNames  = [...]string{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"}
	segNames   = [...]string{"es", "cs", "ss", "ds", "fs", "gs", "st(-2)", "st(-1)"}
	floatNames = [...]string{"st(0)", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "st"}
)

// String returns the register's name as WinDbg writes it. Numbers beyond the
// last register of a class run on into the next class of its table, which is
// how encodings that no processor accepts are shown there: the seventh segment
// register is st(-2), the bound register 4 is cr0.
func (r Reg) String() string {
	n := int(r.Num)
	switch r.Class {
	case Byte, Word, Dword, Qword:
		return generalName(r.Class, n)
	case High:
		return highNames[n&7]
	case Segment:
		return segNames[n&7]
	case Control:
		return "cr" + strconv.Itoa(n)
	case Debug:
		return "dr" + strconv.Itoa(n)
	case Test:
		if n >= 6 {
			return "tmm"
		}
		return "tr" + strconv.Itoa(n)
	case Float:
		return floatNames[min(n, 8)]
	case MMX:
		return "mm" + strconv.Itoa(n&7)
	case XMM:
		return "xmm" + strconv.Itoa(n)
	case YMM:
		return "ymm" + strconv.Itoa(n)
	case ZMM:
		return "zmm" + strconv.Itoa(n)
	case Tile:
		return "tmm" + strconv.Itoa(n)
	case Mask:
		if n < 8 {
			return "k" + strconv.Itoa(n)
		}
		return Reg{Bound, uint8(n - 8)}.String()
	case Bound:
		switch {
		case n < 4:
			return "bnd" + strconv.Itoa(n)
		case n < 20:
			return "cr" + strconv.Itoa(n-4)
		}
		return "dr" + strconv.Itoa(n-20)
	case IP:
		if n == 32 {
			return "eip"
		}
		return "rip"
	}
	return ""
}

func generalName(class RegClass, n int) string {
	if n >= 8 {
		return "r" + strconv.Itoa(n) + [...]string{Byte: "b", Word: "w", Dword: "d", Qword: ""}[class]
	}
	switch class {
	case Byte:
		return byteNames[n]
	case Dword:
		return "e" + wordNames[n]
	case Qword:
		return "r" + wordNames[n]
	}
	return wordNames[n]
}

// Size returns the register's size in bytes, 0 for classes that have no size
// of their own.
func (r Reg) Size() int {
	switch r.Class {
	case Byte, High:
		return 1
	case Word, Segment:
		return 2
	case Dword:
		return 4
	case Qword, Control, Debug, MMX, Mask:
		return 8
	case Float:
		return 10
	case XMM, Bound:
		return 16
	case YMM:
		return 32
	case ZMM:
		return 64
	}
	return 0
}

// general returns the general register n of a size in bytes. Without a REX
// prefix the byte registers 4 to 7 are the high halves.
func general(n uint8, size int, rex bool) Reg {
	switch size {
	case 1:
		if !rex && n >= 4 && n < 8 {
			return Reg{High, n}
		}
		return Reg{Byte, n}
	case 2:
		return Reg{Word, n}
	case 4:
		return Reg{Dword, n}
	}
	return Reg{Qword, n}
}

// vector returns the vector register n of a size in bytes.
func vector(n uint8, size int) Reg {
	switch size {
	case 64:
		return Reg{ZMM, n}
	case 32:
		return Reg{YMM, n}
	}
	return Reg{XMM, n}
}
