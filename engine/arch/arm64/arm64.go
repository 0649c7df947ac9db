// Package arm64 decodes ARM64 instructions and prints them as WinDbg does.
//
// golang.org/x/arch/arm64/arm64asm decodes and finds the preferred aliases, but
// for the few that it lacks (extra.go); the text is ours, after what WinDbg's engine printed on a dump of an ARM machine.
// How it writes instructions that are not in that record was concluded from
// those that are.
//
// All functions are safe for concurrent use.
package arm64

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"

	"kdap/engine/arch/flow"
)

// ErrInvalid says that a word is no instruction.
var ErrInvalid = errors.New("invalid instruction")

// A Flow is what an instruction does to the flow of control.
type Flow uint8

// The kinds of flow.
const (
	Next   Flow = iota // goes on with the next instruction
	Call               // calls, then goes on
	Jump               // always goes elsewhere
	Branch             // may go elsewhere
	Return             // goes to where a register says
)

// An Inst is one decoded instruction, 4 bytes long.
type Inst struct {
	Word     uint32
	Mnemonic string // "" when the word is no instruction
	Flow     Flow

	operands []string // the one that is a target is empty
	distance int64    // of the target from the instruction
	target   bool
	page     bool // adrp: from the instruction's page
}

// Decode decodes one word. When it is no instruction, the Inst has no mnemonic.
func Decode(word uint32) (Inst, error) {
	if i, ok := extra(word); ok {
		return i, nil
	}
	i := Inst{Word: word}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], word)
	d, err := arm64asm.Decode(b[:])
	if err != nil {
		return i, ErrInvalid
	}
	words := arm64asm.GNUSyntax(d)
	i.Mnemonic, words, _ = strings.Cut(words, " ")
	i.Mnemonic = strings.Replace(i.Mnemonic, "b.", "b", 1)
	if words != "" {
		i.operands = split(words)
	}
	for _, a := range d.Args {
		rel, ok := a.(arm64asm.PCRel)
		if !ok {
			continue
		}
		i.distance, i.target, i.page = int64(rel), true, d.Op == arm64asm.ADRP
		i.operands[len(i.operands)-1] = "" // a target is always the last
	}
	if n := len(i.operands); n > 0 && conditional[i.Mnemonic] {
		i.Mnemonic += i.operands[n-1]
		i.operands = i.operands[:n-1]
	}
	i.Flow = flowOf(&d)
	return i, nil
}

// conditional are the instructions whose condition is written behind the name.
var conditional = map[string]bool{
	"csel": true, "csinc": true, "csinv": true, "csneg": true, "cset": true, "csetm": true, "cinc": true,
	"cinv": true, "cneg": true, "ccmp": true, "ccmn": true, "fcsel": true, "fccmp": true, "fccmpe": true,
}

var (
	number   = regexp.MustCompile(`#(-?)(0x[0-9a-f]+|[0-9]+)\b`)
	register = regexp.MustCompile(`\bx(29|30)\b`)
)

// split divides the operands and spells each as WinDbg does: the frame
// pointer and link register by name, numbers from ten on in hexadecimal.
func split(text string) []string {
	text = strings.ReplaceAll(text, ", ", ",")
	text = register.ReplaceAllStringFunc(text, func(r string) string {
		if r == "x29" {
			return "fp"
		}
		return "lr"
	})
	text = number.ReplaceAllStringFunc(text, func(s string) string {
		m := number.FindStringSubmatch(s)
		v, err := strconv.ParseUint(m[2], 0, 64)
		switch {
		case err != nil:
			return s
		case v < 10:
			return "#" + m[1] + strconv.FormatUint(v, 10)
		}
		return fmt.Sprintf("#%s0x%X", m[1], v)
	})
	var out []string
	for start, depth, k := 0, 0, 0; k <= len(text); k++ {
		switch {
		case k == len(text) || text[k] == ',' && depth == 0:
			out = append(out, text[start:k])
			start = k + 1
		case text[k] == '[' || text[k] == '{':
			depth++
		case text[k] == ']' || text[k] == '}':
			depth--
		}
	}
	return out
}

func flowOf(d *arm64asm.Inst) Flow {
	switch d.Op {
	case arm64asm.BL, arm64asm.BLR:
		return Call
	case arm64asm.BR:
		return Jump
	case arm64asm.RET, arm64asm.ERET:
		return Return
	case arm64asm.CBZ, arm64asm.CBNZ, arm64asm.TBZ, arm64asm.TBNZ:
		return Branch
	case arm64asm.B:
		if c, ok := d.Args[0].(arm64asm.Cond); ok && c.Value < 14 {
			return Branch
		}
		return Jump
	}
	return Next
}

// Target returns where a direct call, jump or branch at addr leads to.
func (i *Inst) Target(addr uint64) (uint64, bool) {
	if !i.target || i.Flow == Next || i.Flow == Return {
		return 0, false
	}
	return addr + uint64(i.distance), true
}

// Options say how a line is laid out.
type Options struct {
	NoCodeBytes bool
	// Symbol names addresses in loaded modules.
	Symbol func(addr uint64) (text string, ok bool)
}

func address(addr uint64) string { return fmt.Sprintf("%08x`%08x", addr>>32, uint32(addr)) }

// Text returns the mnemonic, "???" for what is no instruction, and the
// operands.
func (i *Inst) Text(addr uint64, o *Options) (mnemonic, operands string) {
	if i.Mnemonic == "" {
		return "???", ""
	}
	parts := append([]string(nil), i.operands...)
	if i.target {
		at := addr
		if i.page {
			at &^= 0xfff
		}
		at += uint64(i.distance)
		last := &parts[len(parts)-1]
		*last = address(at)
		if o.Symbol != nil {
			if s, ok := o.Symbol(at); ok {
				*last = s + " (" + address(at) + ")"
			}
		}
	}
	return i.Mnemonic, strings.Join(parts, ",")
}

// Line returns the line of the instruction at addr.
func (i *Inst) Line(addr uint64, o Options) string {
	s := address(addr) + " "
	if !o.NoCodeBytes {
		s += fmt.Sprintf("%08x ", i.Word)
	}
	mnemonic, operands := i.Text(addr, &o)
	if operands == "" {
		return s + mnemonic
	}
	return fmt.Sprintf("%s%-11s %s", s, mnemonic, operands)
}

// UnreadableLine is the line of an address that cannot be read.
func UnreadableLine(addr uint64, o Options) string {
	if o.NoCodeBytes {
		return address(addr) + " ???"
	}
	return address(addr) + " ?? ???"
}

// A Fetch reads code: it returns how many bytes of p it could fill from va on.
type Fetch func(va uint64, p []byte) int

// At decodes the instruction at va. ok is false when it cannot be read.
func At(fetch Fetch, va uint64) (inst Inst, ok bool) {
	var b [4]byte
	if fetch(va, b[:]) < len(b) {
		return Inst{}, false
	}
	inst, _ = Decode(binary.LittleEndian.Uint32(b[:]))
	return inst, true
}

// maxInstructions bounds the flow analysis of a function.
const maxInstructions = 1 << 18

// Analyze follows the code from start, not into calls.
func Analyze(ctx context.Context, fetch Fetch, start uint64) (flow.Result, error) {
	return flow.Analyze(ctx, start, maxInstructions, func(va uint64) flow.Step {
		inst, ok := At(fetch, va)
		if !ok || inst.Mnemonic == "" {
			return flow.Step{}
		}
		s := flow.Step{OK: true, Size: 4, Next: inst.Flow != Jump && inst.Flow != Return, Leader: inst.Flow == Branch}
		if t, ok := inst.Target(va); ok && inst.Flow != Call {
			s.Targets = []uint64{t}
		}
		return s
	})
}
