package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/arch/arm64"
	"kdap/engine/windows"
)

// codeState is what the commands that show code remember.
type codeState struct {
	options asmOptions
	next    *uint64 // where u without an address goes on; nil for the current instruction
	search  *uint64 // where # without an address goes on
}

// A codeView shows code in one way: a processor's instructions from one memory.
type codeView struct {
	s       *Session
	arm64   bool
	mode    disasm.Mode
	fetch   disasm.Fetch
	spare   disasm.Fetch // gives the one byte to show where fetch has none; nil: none
	options disasm.Options
	bare    bool // no symbols: physical memory
	numbers bool // source line numbers in front
	indent  bool // blanks where there is no number

	label string // the symbol that the line before belongs to
	begun bool
}

// A codeLine is one line of code.
type codeLine struct {
	text  string
	next  uint64
	state disasm.State
}

// codeView returns the view of the effective machine's code in the session's
// memory.
func (s *Session) codeView(ctx context.Context) *codeView {
	v := &codeView{s: s, mode: disasm.Mode64, fetch: s.fetchCode(), options: s.disasmOptions(ctx)}
	v.numbers = s.code.options&asmSourceLine != 0
	v.indent = v.numbers
	switch s.machine() {
	case "x86":
		v.mode = disasm.Mode32
	case "arm64":
		v.arm64 = true
	}
	return v
}

// at returns the line of what is at va.
func (v *codeView) at(va uint64) codeLine {
	if v.arm64 {
		return v.atARM64(va)
	}
	it := disasm.At(v.mode, v.fetch, va)
	if it.State == disasm.Unreadable && v.spare != nil {
		if b := make([]byte, 1); v.spare(va, b) == len(b) {
			it.State, it.Code = disasm.Cut, b
		}
	}
	return codeLine{text: it.Line(v.options), next: it.Next(), state: it.State}
}

func (v *codeView) atARM64(va uint64) codeLine {
	o := arm64.Options{NoCodeBytes: v.options.NoCodeBytes, Symbol: v.options.Symbol}
	inst, ok := arm64.At(arm64.Fetch(v.fetch), va)
	switch {
	case !ok:
		return codeLine{text: arm64.UnreadableLine(va, o), next: va + 4, state: disasm.Unreadable}
	case inst.Mnemonic == "":
		return codeLine{text: inst.Line(va, o), next: va + 4, state: disasm.Undefined}
	}
	return codeLine{text: inst.Line(va, o), next: va + 4}
}

// print prints a line of code at va, below a label when the nearest symbol is
// another one than that of the line before.
func (v *codeView) print(ctx context.Context, va uint64, text string) {
	if !v.bare {
		key, label := v.s.codeLabel(ctx, va)
		if label != "" && (!v.begun || key != v.label) {
			v.s.printf("%s:\n", label)
		}
		v.label, v.begun = key, true
	}
	v.s.printf("%s%s\n", v.lineNumber(ctx, va), text)
}

// lineNumber is what stands in front of a line of code: the number of its
// source line.
func (v *codeView) lineNumber(ctx context.Context, va uint64) string {
	if !v.numbers {
		return ""
	}
	if p, ok := v.s.place(ctx, va); ok && p.File != "" {
		return fmt.Sprintf("%5d ", p.Line)
	}
	if v.indent {
		return "       "
	}
	return ""
}

// codeLabel returns the label line of code at va, with a key that is the same
// for all addresses of one symbol; "" for code that is in no module.
func (s *Session) codeLabel(ctx context.Context, va uint64) (key, label string) {
	p, ok := s.place(ctx, va)
	if !ok {
		label = s.symbolText(ctx, va)
		return label, label
	}
	label = placeText(p, va)
	if p.Outside {
		key = label
	} else {
		key = p.Module.Name + "!" + p.Name
	}
	return key, label + s.sourceSuffix(p)
}

// Symbols of the page that Windows shares with every process.
const (
	sharedDataStart = 0x7ffe0000
	sharedDataEnd   = 0x7ffe1000
	sharedDataName  = "SharedUserData"
)

// operandSymbol names an address that an instruction's operand holds.
func (s *Session) operandSymbol(ctx context.Context, va uint64) (string, bool) {
	if va >= sharedDataStart && va < sharedDataEnd {
		return plusOffset(sharedDataName, va-sharedDataStart), true
	}
	p, ok := s.place(ctx, va)
	if !ok {
		return "", false
	}
	return placeText(p, va), true
}

// pointerAt follows a pointer of the session's memory.
func (v *codeView) pointerAt(va uint64) (uint64, bool) {
	var b [8]byte
	n := 8
	if v.mode == disasm.Mode32 {
		n = 4
	}
	if v.fetch(va, b[:n]) < n {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

// functionStart returns where the function that holds va begins, by private
// symbols or unwind data; va itself when neither knows.
func (s *Session) functionStart(ctx context.Context, va uint64) uint64 {
	m := s.moduleSet(ctx).Find(va)
	if m == nil {
		return va
	}
	if p, ok := s.symbolsOf(ctx, m).Proc(uint32(va - m.Base)); ok {
		return m.Base + uint64(p.RVA)
	}
	return unwindStart(ctx, m, va)
}

func unwindStart(ctx context.Context, m *windows.Module, va uint64) uint64 {
	t := m.FunctionTable(ctx)
	f, found, err := t.Lookup(uint32(va - m.Base))
	if err != nil || !found {
		return va
	}
	if primary, err := t.Primary(f); err == nil {
		f = primary
	}
	return m.Base + uint64(f.Begin)
}

// currentCode is the address of the current instruction.
func (s *Session) currentCode() (uint64, error) {
	return s.ip()
}

// asmOptions are the switches of .asm.
type asmOptions uint8

const (
	asmVerbose asmOptions = 1 << iota
	asmNoCodeBytes
	asmIgnoreWidth
	asmSourceLine
)

// asmNames are the switches in the order in which .asm lists them.
var asmNames = []struct {
	name string
	bit  asmOptions
}{
	{"verbose", asmVerbose},
	{"no_code_bytes", asmNoCodeBytes},
	{"ignore_output_width", asmIgnoreWidth},
	{"source_line", asmSourceLine},
}

func cmdAsm() *Command {
	return &Command{
		Names: []string{".asm", ".asm-"}, Args: "[no_code_bytes | ignore_output_width | source_line | verbose] …",
		Short: "show, set or, with .asm-, clear how code is shown",
		Run: func(_ context.Context, s *Session, c *Call) error {
			for !c.Args.Done() {
				word := c.Word()
				var bit asmOptions
				for _, n := range asmNames {
					if n.name == word {
						bit = n.bit
					}
				}
				switch {
				case bit == 0:
					s.printf("Unknown assembly option '%s'\n", word)
				case strings.HasSuffix(c.Name, "-"):
					s.code.options &^= bit
				default:
					s.code.options |= bit
				}
			}
			s.printf("Assembly options: %s\n", s.code.options)
			return nil
		},
	}
}

func (o asmOptions) String() string {
	var set []string
	for _, n := range asmNames {
		if o&n.bit != 0 {
			set = append(set, n.name)
		}
	}
	if set == nil {
		return "<default>"
	}
	return strings.Join(set, " ")
}
