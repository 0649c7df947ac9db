package command

import (
	"context"
	"fmt"

	"kdap/engine/arch/amd64"
	"kdap/engine/format"
	"kdap/engine/memory"
)

func cmdExchain() *Command {
	return &Command{
		Names: []string{"!exchain"}, Args: "[-f]",
		Short: "show the exception handlers of the current stack", Run: runExchain,
	}
}

func runExchain(ctx context.Context, s *Session, c *Call) error {
	for !c.Args.Done() {
		if option, _ := c.Option(); option != "f" && option != "c" && option != "C" {
			s.printf("Usage: !exchain [-f]\n")
			return nil
		}
	}
	if s.machine() == x86Machine {
		return s.exchain32(ctx)
	}
	regs, err := s.anyRegisters()
	if err != nil {
		return err
	}
	frames := s.walk(ctx, regs, s.settings.kframes).Frames
	s.printf("%d stack frames, scanning for handlers...\n", len(frames))
	for i, f := range frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		m := f.Module
		if m == nil {
			s.printf("Frame 0x%02x: error getting module for %016x\n", i, f.IP)
			continue
		}
		entry, ok, err := m.FunctionTable(ctx).Lookup(uint32(f.IP - m.Base))
		if err != nil || !ok {
			continue
		}
		info, err := m.FunctionTable(ctx).Info(entry)
		// A part of a function has its handler in the unwind data of the first.
		for n := 0; err == nil && info.Flags&amd64.UnwindChained != 0 && n < maxChained; n++ {
			info, err = m.FunctionTable(ctx).Info(info.Chained)
		}
		if err != nil || info.Handler == 0 {
			continue
		}
		handler := m.Base + uint64(info.Handler)
		kind := "ehandler"
		if info.Flags&amd64.UnwindExceptionHandler == 0 {
			kind = "uhandler"
		}
		s.printf("Frame 0x%02x: %s (%s)\n  %s %s (%s)\n", i, s.frameName(ctx, f), format.Addr(f.IP), kind, s.symbolOrAddress(handler), format.Addr(handler))
	}
	return nil
}

// maxChained bounds chained unwind data.
const maxChained = 32

// maxHandlers bounds the chain of frame handlers, whose links programs overwrite.
const maxHandlers = 10_000

// endOfHandlers is the link of the last frame handler.
const endOfHandlers = 0xffffffff

// exchain32 follows the frame handlers of 32-bit code, from the TEB on.
func (s *Session) exchain32(ctx context.Context) error {
	teb, err := s.currentBlock()
	if err != nil {
		return err
	}
	at, err := teb.ExceptionList()
	if err != nil {
		return s.failure(err, "Unable to read the exception list of the TEB")
	}
	for n := 0; at != endOfHandlers; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := memory.ReadUint(s.space(), at, 4)
		handler, herr := memory.ReadUint(s.space(), at+4, 4)
		if err != nil || herr != nil || n >= maxHandlers {
			s.printf("Invalid exception stack at %08x\n", at)
			return nil
		}
		s.printf("%08x: %s (%08x)\n", at, s.handlerName(ctx, handler), handler)
		// Frames lie on the stack, a caller's above: a link down is no link.
		if next <= at {
			s.printf("Invalid exception stack at %08x\n", next)
			return nil
		}
		at = next
	}
	return nil
}

// handlerName names a frame handler with its offset in any case: "a!b+0".
func (s *Session) handlerName(ctx context.Context, va uint64) string {
	p, ok := s.place(ctx, va)
	switch {
	case !ok:
		return format.Addr32(va)
	case p.Name == "":
		return fmt.Sprintf("%s+%x", p.Module.Name, p.Offset)
	}
	return fmt.Sprintf("%s!%s+%x", p.Module.Name, p.Name, p.Offset)
}
