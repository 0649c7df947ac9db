package command

import (
	"context"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/format"
	"kdap/engine/windows"
)

func cmdFunctionEntry() *Command {
	return &Command{
		Names: []string{".fnent"}, Args: "Address", Short: "show the unwind data of a function",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			va, err := s.number(c.Args)
			if err != nil {
				return err
			}
			m := s.moduleSet(ctx).Find(va)
			var f amd64.RuntimeFunction
			found := false
			if m != nil {
				if f, found, err = m.FunctionTable(ctx).Lookup(uint32(va - m.Base)); err != nil {
					s.notef("the function table cannot be read: %v", err)
				}
			}
			if !found {
				s.printf("No function entry for %s\n", format.Addr(va))
				return nil
			}
			return s.printFunctionEntry(ctx, m, f, va)
		},
	}
}

func (s *Session) printFunctionEntry(ctx context.Context, m *windows.Module, f amd64.RuntimeFunction, va uint64) error {
	// The debugger prints an address of its own here: where it keeps the entry.
	s.printf("Debugger function entry %s for:\n", format.Addr(m.Base+uint64(f.Begin)))
	s.listNearest(ctx, va, false)
	s.printf("\nBeginAddress      = %s\nEndAddress        = %s\nUnwindInfoAddress = %s\n",
		format.Addr(uint64(f.Begin)), format.Addr(uint64(f.End)), format.Addr(uint64(f.UnwindData)))
	info, err := m.FunctionTable(ctx).Info(f)
	if err != nil {
		s.notef("the unwind data cannot be read: %v", err)
		return nil
	}
	s.printUnwind(m, info)
	if info.Flags&amd64.UnwindChained != 0 {
		c := info.Chained
		s.printf("\nChained info:\nBeginAddress      = %s\nEndAddress        = %s\nUnwindInfoAddress = %s\n",
			format.Addr(uint64(c.Begin)), format.Addr(uint64(c.End)), format.Addr(uint64(c.UnwindData)))
		if chained, err := m.FunctionTable(ctx).Info(c); err == nil {
			s.printUnwind(m, chained)
		}
	}
	return nil
}

// printUnwind prints unwind data and its codes.
func (s *Session) printUnwind(m *windows.Module, info *amd64.UnwindInfo) {
	const headerSize, slotSize = 4, 2
	s.printf("\nUnwind info at %s, %x bytes\n", format.Addr(m.Base+uint64(info.RVA)), headerSize+slotSize*uint(info.CountOfCodes))
	s.printf("  version %d, flags %x, prolog %x, codes %x\n", info.Version, info.Flags, info.PrologSize, info.CountOfCodes)
	if info.FrameRegister != 0 {
		s.printf("  frame reg %x, frame offs %x\n", info.FrameRegister, info.FrameOffset/16)
	}
	if h := info.Handler; h != 0 {
		s.printf("  handler routine: %s, data %x\n", s.symbolOrAddress(m.Base+uint64(h)), info.HandlerData)
	}
	slot := 0
	for _, c := range info.Codes {
		s.printf("  %02x: offs %x, unwind op %x, op info %x\t%s.\n", slot, c.PrologOffset, uint8(c.Op), c.Info, unwindText(c))
		slot += int(c.Slots)
	}
}

// symbolOrAddress names an address, or writes it.
func (s *Session) symbolOrAddress(va uint64) string {
	if name := s.symbolText(s.ctx, va); name != "" {
		return name
	}
	return format.Addr(va)
}

// unwindText is the name of an unwind operation with its operands.
func unwindText(c amd64.UnwindCode) string {
	reg := disasm.Reg{Class: disasm.Qword, Num: c.Info}.String()
	switch c.Op {
	case amd64.OpPushNonvol:
		return "UWOP_PUSH_NONVOL reg: " + reg
	case amd64.OpAllocLarge:
		return fmt.Sprintf("UWOP_ALLOC_LARGE FrameOffset: %x", c.Value)
	case amd64.OpAllocSmall:
		return "UWOP_ALLOC_SMALL"
	case amd64.OpSetFPReg:
		return "UWOP_SET_FPREG"
	case amd64.OpSaveNonvol:
		return fmt.Sprintf("UWOP_SAVE_NONVOL FrameOffset: %x reg: %s", c.Value, reg)
	case amd64.OpSaveNonvolFar:
		return fmt.Sprintf("UWOP_SAVE_NONVOL_FAR FrameOffset: %x reg: %s", c.Value, reg)
	case amd64.OpEpilog:
		return "UWOP_EPILOG"
	case amd64.OpSpare:
		return "UWOP_SPARE_CODE"
	case amd64.OpSaveXMM128:
		return fmt.Sprintf("UWOP_SAVE_XMM128 FrameOffset: %x reg: xmm%d", c.Value, c.Info)
	case amd64.OpSaveXMM128Far:
		return fmt.Sprintf("UWOP_SAVE_XMM128_FAR FrameOffset: %x reg: xmm%d", c.Value, c.Info)
	case amd64.OpPushMachFrame:
		return "UWOP_PUSH_MACHFRAME"
	}
	return fmt.Sprintf("unknown operation %d", c.Op)
}
