package command

import (
	"context"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/arch/x86"
	"kdap/engine/expr"
	"kdap/engine/memory"
)

func machineCommands() []*Command {
	return []*Command{cmdEffmach(), cmdContext()}
}

// machines are what .effmach takes, in the debugger's words.
var machines = []struct{ name, text string }{
	{"amd64", "x64 (AMD64)"},
	{"x86", "x86 compatible (x86)"},
	{"arm64", "ARM 64-bit (AArch64) (arm64)"},
	{"arm", "ARM (NT) Thumb-2 (arm)"},
	{"ia64", "Intel IA64 (ia64)"},
	{"ebc", "EFI byte code (ebc)"},
}

// nativeMachine is the machine of the dumps this console reads registers of.
const nativeMachine = "amd64"

func cmdEffmach() *Command {
	return &Command{
		Names: []string{".effmach"}, Args: "[Machine | . | #]", Short: "show or choose the machine whose code and registers are meant",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			word := strings.ToLower(c.Word())
			if word == "." || word == "#" {
				word = s.ownMachine()
			}
			if word == "" {
				word = s.machine()
			}
			for _, m := range machines {
				if m.name != word {
					continue
				}
				s.setMachine(ctx, word)
				s.printf("Effective machine: %s\n", m.text)
				if at := c.Args.Pos; !c.Args.Done() {
					// The debugger cuts the line behind the name.
					extra := expr.Caret("Extra character error", c.Args.Pos+1)
					c.Args.Text = c.Args.Text[:at]
					return extra
				}
				return nil
			}
			return Tellf("Unknown machine '%s'", word)
		},
	}
}

func (s *Session) machine() string {
	if s.settings.machine == "" {
		return s.ownMachine()
	}
	return s.settings.machine
}

// Machine types of the PE/COFF specification.
const (
	imageMachineX86   = 0x14c
	imageMachineARM64 = 0xaa64
)

// ownMachine is the machine that the dump is of.
func (s *Session) ownMachine() string {
	switch s.debuggee.machine() {
	case imageMachineX86:
		return x86Machine
	case imageMachineARM64:
		return arm64Machine
	}
	return nativeMachine
}

// contextMachine is the machine of the register context.
func (s *Session) contextMachine() string {
	switch s.scope.regs.(type) {
	case *x86.Context:
		return x86Machine
	case *arm64.Context:
		return arm64Machine
	case *amd64.Context:
		return nativeMachine
	}
	return s.ownMachine()
}

// checkMachine refuses registers and stacks while the effective machine is
// another one than that of the set context. at is the place of the error.
func (s *Session) checkMachine(at int) error {
	if s.scope.set && s.machine() != s.contextMachine() {
		return expr.Caret("Current scope machine type mismatch error", at)
	}
	return nil
}

func cmdContext() *Command {
	return &Command{
		Names: []string{".context"}, Args: "[PageDirectoryBase]", Short: "show or choose the page tables that addresses go through",
		Run: func(_ context.Context, s *Session, c *Call) error {
			if c.Args.Done() {
				s.printf("User-mode page directory base is %x\n", s.pageDirectory())
				return nil
			}
			v, err := s.number(c.Args)
			if err != nil {
				return err
			}
			if v != 0 {
				v = amd64.CleanDTB(v)
				s.scope.dtb = &v
				return nil
			}
			if dtb, err := s.scope.process.DTB(); err != nil || !s.sessionCanRead(s.scope.process.Addr()) {
				s.printf("WARNING: Unable to reset page directory base\n")
			} else {
				dtb = amd64.CleanDTB(dtb)
				s.scope.dtb = &dtb
			}
			return nil
		},
	}
}

// pageDirectory returns the page tables in use; a triage dump has none.
func (s *Session) pageDirectory() uint64 {
	switch {
	case s.scope.dtb != nil:
		return *s.scope.dtb
	case !s.sys.Paged():
		return 0
	}
	dtb, err := s.scope.memory.DTB()
	if err != nil {
		return s.sys.DTB()
	}
	return amd64.CleanDTB(dtb)
}

// sessionCanRead reports whether the page tables in use reach va.
func (s *Session) sessionCanRead(va uint64) bool {
	_, err := memory.ReadUint(s.space(), va, 1)
	return err == nil
}
