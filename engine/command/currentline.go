package command

import (
	"context"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/format"
	"kdap/engine/memory"
)

// userCode is the code segment of 64-bit user mode.
const userCode = 0x33

// instructionWidth is where the effective operands of the current instruction
// end.
const instructionWidth = 79

// instructionWidth is where they end with the layout that .asm chose.
func (s *Session) instructionWidth() int {
	if s.code.options&asmIgnoreWidth != 0 {
		return instructionWidth + 20
	}
	return instructionWidth
}

// printInstruction prints the place and the current instruction with what its
// operands lead to.
func (s *Session) printInstruction(ctx context.Context, regs arch.Registers) {
	ip := regs.ProgramCounter()
	s.printPromptSource(ctx, ip)
	if name := s.symbolText(ctx, ip); name != "" {
		s.printf("%s:\n", name)
	}
	v := s.codeView(ctx)
	c := amd64Part(regs)
	if s.machine() != s.contextMachine() {
		cs := uint16(0)
		if c != nil {
			cs = c.CS
		}
		s.printf("%04x:%s <Effective machine and debuggee state conflict, disassembly not possible>\n", cs, s.addressText(ip))
		return
	}
	if c == nil {
		s.printf("%s%s\n", v.lineNumber(ctx, ip), v.at(ip).text)
		return
	}
	it := s.instructionAt(regs)
	line := it.Line(v.options)
	if c.CS == userCode && s.debuggee.kernelMode() {
		line = "0033:" + line
	}
	line = v.lineNumber(ctx, ip) + line
	if it.State == disasm.Decoded {
		selectors := x86Code(regs) || s.debuggee.kernelMode()
		if extra := it.Inst.Effective(ip, contextRegisters{c}, s.space(), selectors, &v.options); extra != "" {
			line += strings.Repeat(" ", max(1, s.instructionWidth()-len(line)-len(extra))) + extra
		}
	}
	s.printf("%s\n", line)
}

func (s *Session) instructionAt(regs arch.Registers) disasm.Item {
	mode := disasm.Mode64
	if x86Code(regs) {
		mode = disasm.Mode32
	}
	return disasm.At(mode, s.fetchCode(), regs.ProgramCounter())
}

// fetchCode reads code of the process context.
func (s *Session) fetchCode() disasm.Fetch {
	space := s.space()
	return func(va uint64, p []byte) int { return readable(space, va, p) }
}

// readable reads up to the first byte that is not there.
func readable(space memory.Space, va uint64, p []byte) int {
	n, _ := space.Read(va, p)
	return n
}

// disasmOptions are the layout of code lines.
func (s *Session) disasmOptions(ctx context.Context) disasm.Options {
	return disasm.Options{
		NoCodeBytes:       s.code.options&asmNoCodeBytes != 0,
		IgnoreOutputWidth: s.code.options&asmIgnoreWidth != 0,
		AddressDigits:     s.addressDigits(),
		Symbol:            func(va uint64) (string, bool) { return s.operandSymbol(ctx, va) },
	}
}

// contextRegisters shows a context to the disassembler. A segment register of
// 0 counts as unknown: it stands in contexts that do not have the segments.
type contextRegisters struct{ c *amd64.Context }

func (r contextRegisters) Register(reg disasm.Reg) (uint64, bool) {
	if reg.Class == disasm.Flags {
		return uint64(r.c.EFlags), true
	}
	v, _, ok := r.c.Get(reg.String())
	if reg.Class == disasm.Segment && v == 0 {
		return 0, false
	}
	return v, ok
}

// showUsedRegisters is r.: the registers that the current instruction uses.
func (s *Session) showUsedRegisters() error {
	regs, err := s.registers()
	if err != nil {
		return err
	}
	if s.scope.set {
		s.printf("Last set context:\n")
	}
	it := s.instructionAt(s.scope.regs)
	for _, r := range it.Inst.Registers() {
		if v, _, ok := regs.Get(r.String()); ok {
			s.printf("%s=%s  ", r, s.addressText(v))
		}
	}
	s.printf("\n")
	return nil
}

// addressDigits is how many digits addresses have: those of 32-bit code have
// eight, where the whole dump is of a process.
func (s *Session) addressDigits() int {
	if s.machine() == x86Machine && !s.debuggee.kernelMode() {
		return 8
	}
	return 16
}

// addressText writes an address with its digits.
func (s *Session) addressText(va uint64) string {
	if s.addressDigits() == 8 {
		return format.Addr32(va)
	}
	return format.Addr(va)
}

// dumpPointerSize is the size of pointers in the dump, whatever machine is
// effective.
func (s *Session) dumpPointerSize() int {
	if s.ownMachine() == x86Machine {
		return 4
	}
	return pointerSize
}
