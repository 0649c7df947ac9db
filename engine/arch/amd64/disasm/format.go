package disasm

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A Symbolizer returns the text for an address that falls in a loaded module
// or another named range ("nt!KiSwapThread+0x160"), and false for others. A nil
// Symbolizer names nothing.
type Symbolizer func(addr uint64) (text string, ok bool)

// Options say how a line is laid out: the .asm settings and the width of
// addresses.
type Options struct {
	NoCodeBytes       bool
	IgnoreOutputWidth bool
	AddressDigits     int // 8, or 16 (also when zero) for addresses with a grave accent
	Symbol            Symbolizer
}

// Address formats an address as the first column has it.
func (o *Options) Address(addr uint64) string {
	if o.AddressDigits == 8 {
		return fmt.Sprintf("%08x", uint32(addr))
	}
	return fmt.Sprintf("%08x`%08x", addr>>32, uint32(addr))
}

// symbol returns "name (address)" when the address has a name.
func (o *Options) symbol(addr uint64) (string, bool) {
	if o.Symbol == nil {
		return "", false
	}
	s, ok := o.Symbol(addr)
	if !ok {
		return "", false
	}
	return s + " (" + o.Address(addr) + ")", true
}

// Line returns the line of the instruction inst at addr: address, code bytes,
// mnemonic, operands. code holds the bytes to show.
func Line(addr uint64, code []byte, inst *Inst, o Options) string {
	words, operands := inst.Text(addr, &o)
	return layout(addr, hex.EncodeToString(code), words, operands, &o)
}

// layout sets the parts of a line into their columns.
func layout(addr uint64, code, words, operands string, o *Options) string {
	var b strings.Builder
	b.WriteString(o.Address(addr))
	b.WriteByte(' ')
	start := b.Len()
	mnemonic, column := 16, 24
	if o.IgnoreOutputWidth {
		mnemonic, column = 24, 32
	}
	if o.NoCodeBytes {
		mnemonic, column = 0, 8
	} else {
		b.WriteString(code)
		if len(code) > mnemonic-2 {
			mnemonic, column = len(code)+1, column+1
		}
	}
	pad(&b, start+mnemonic)
	b.WriteString(words)
	if operands != "" {
		pad(&b, max(start+column, b.Len()+1))
		b.WriteString(operands)
	}
	return b.String()
}

func pad(b *strings.Builder, column int) {
	for b.Len() < column {
		b.WriteByte(' ')
	}
}

// Text returns the prefix words with the mnemonic, and the operands. The
// mnemonic of bytes that are no instruction is "???".
func (i *Inst) Text(addr uint64, o *Options) (mnemonic, operands string) {
	if !i.Valid() {
		return "???", ""
	}
	mnemonic = i.Mnemonic
	if i.Prefix != "" {
		mnemonic = i.Prefix + " " + mnemonic
	}
	var b strings.Builder
	for k := range i.Args() {
		if k > 0 {
			b.WriteByte(',')
		}
		i.writeArg(&b, addr, &i.args[k], o)
	}
	if i.Suffix != "" {
		b.WriteString(" " + i.Suffix)
	}
	return mnemonic, b.String()
}

func (i *Inst) writeArg(b *strings.Builder, addr uint64, a *Arg, o *Options) {
	switch a.Kind {
	case ArgReg:
		b.WriteString(a.Reg.String())
	case ArgImm:
		if s, ok := o.symbol(a.Imm); ok && a.Size >= 32 {
			b.WriteString("offset " + s)
		} else {
			b.WriteString(Hex(a.Imm))
		}
	case ArgTarget:
		target := i.relative(addr, a.Imm)
		if s, ok := o.symbol(target); ok {
			b.WriteString(s)
		} else {
			b.WriteString(o.Address(target))
		}
	case ArgFar:
		fmt.Fprintf(b, "%04X:%08X", a.Selector, a.Imm)
	case ArgMem:
		i.writeMem(b, addr, &a.Mem, o)
	}
	if a.Mask != 0 {
		fmt.Fprintf(b, "{k%d}", a.Mask)
	}
	if a.Zero {
		b.WriteString("{z}")
	}
}

// Hex formats a number of an operand: upper-case digits, an h from ten on, a
// zero before a letter.
func Hex(v uint64) string {
	if v < 10 {
		return strconv.FormatUint(v, 10)
	}
	s := strings.ToUpper(strconv.FormatUint(v, 16)) + "h"
	if s[0] >= 'A' {
		return "0" + s
	}
	return s
}

func (i *Inst) writeMem(b *strings.Builder, addr uint64, m *Mem, o *Options) {
	if m.Word != "" {
		b.WriteString(m.Word)
		if m.Bcast {
			b.WriteString(" bcst ")
		} else {
			b.WriteString(" ptr ")
		}
	}
	abs, absolute := i.Address(addr, m)
	switch {
	case m.Segment.Class != NoClass:
		b.WriteString(m.Segment.String() + ":")
	case absolute && i.Mode != Mode64:
		b.WriteString("ds:")
	}
	if absolute {
		i.writeAbsolute(b, abs, m, o)
		return
	}
	if s, ok := o.symbol(i.wide(uint64(m.Disp))); ok && m.disp32 {
		b.WriteString(s + "[")
		writeRegs(b, m)
		b.WriteByte(']')
		return
	}
	b.WriteByte('[')
	writeRegs(b, m)
	switch {
	case i.AddrSize == 16 && m.disp16:
		fmt.Fprintf(b, "+%04Xh", uint16(m.Disp))
	case m.Disp < 0:
		b.WriteString("-" + Hex(uint64(-m.Disp)))
	case m.Disp > 0:
		b.WriteString("+" + Hex(uint64(m.Disp)))
	}
	b.WriteByte(']')
}

// writeAbsolute writes an operand that is an address: named, relative to the
// next instruction, one of a0 to a3, or a plain displacement.
func (i *Inst) writeAbsolute(b *strings.Builder, abs uint64, m *Mem, o *Options) {
	b.WriteByte('[')
	switch s, ok := o.symbol(abs); {
	case ok:
		b.WriteString(s)
	case m.Base.Class == IP:
		b.WriteString(o.Address(abs))
	case m.Offset:
		fmt.Fprintf(b, "%0*Xh", i.AddrSize/4, abs)
	case i.AddrSize < 64:
		b.WriteString(Hex(abs & (1<<i.AddrSize - 1)))
	default:
		b.WriteString(Hex(abs))
	}
	b.WriteByte(']')
}

// wide cuts an address to what code of the instruction's mode can reach.
func (i *Inst) wide(at uint64) uint64 {
	if i.Mode != Mode64 {
		at &= 1<<32 - 1
	}
	return at
}

func writeRegs(b *strings.Builder, m *Mem) {
	b.WriteString(m.Base.String())
	if m.Index.Class == NoClass {
		return
	}
	if m.Base.Class != NoClass {
		b.WriteByte('+')
	}
	b.WriteString(m.Index.String())
	if m.Scale > 1 {
		fmt.Fprintf(b, "*%d", m.Scale)
	}
}
