package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/expr"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// printStack walks and prints a stack as the view says.
func (s *Session) printStack(ctx context.Context, v stackView, regs arch.Registers, count int) error {
	if c := amd64Part(regs); c != nil && s.machine() == x86Machine {
		return s.printX86Stack(ctx, v, c, count)
	}
	s.printf("%s", v.header())
	st := s.walk(ctx, regs, min(count, maxFrames))
	space := s.space()
	var previous uint64
	number := 0
	for i, f := range st.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		// A row comes when the next frame is known, whose module's symbols are
		// loaded by then.
		if m := s.moduleSet(ctx).Find(f.Return); m != nil {
			s.symbolsOf(ctx, m)
		}
		for _, row := range s.rows(ctx, f) {
			if number >= count {
				return ctx.Err()
			}
			s.printStackRow(ctx, v, space, s.scope.base+number, row, i > 0, previous)
			number++
		}
		previous = f.SP
	}
	if st.Ended != nil {
		s.notef("the walk ended: %v", st.Ended)
	}
	return ctx.Err()
}

func (v stackView) header() string {
	var b strings.Builder
	if v.numbers {
		b.WriteString(" # ")
	}
	if v.memory {
		b.WriteString("  Memory  ")
	}
	switch v.letter {
	case 'c':
	case 'b':
		b.WriteString("RetAddr               : Args to Child" + strings.Repeat(" ", 59) + ": ")
	case 'v':
		b.WriteString("Child-SP          RetAddr               : Args to Child" + strings.Repeat(" ", 59) + ": ")
	default:
		b.WriteString("Child-SP          RetAddr               ")
	}
	return b.String() + "Call Site\n"
}

// printStackRow prints one row. behind tells that a frame with stack pointer
// previous came before it.
func (s *Session) printStackRow(ctx context.Context, v stackView, space memory.Space, n int, row stackRow, behind bool, previous uint64) {
	f := row.frame
	if f.X86 != nil && s.machine() == x86Machine {
		s.printX86Row(ctx, v, n, row, behind, previous)
		return
	}
	var b strings.Builder
	if v.numbers {
		b.WriteString(frameNumber(n) + " ")
	}
	if v.memory {
		size := ""
		if behind && row.inline == nil && f.SP >= previous {
			size = fmt.Sprintf("%x", uint32(f.SP-previous))
		}
		fmt.Fprintf(&b, "%9s ", size)
	}
	sp, ret := s.addressText(f.SP), s.addressText(f.Return)
	if row.inline != nil {
		sp, ret = inlineSP, inlineNumber
	}
	switch v.letter {
	case 'c':
		s.printf("%s%s\n", b.String(), s.callName(ctx, row))
		return
	case 'b':
	default:
		b.WriteString(sp + " ")
	}
	b.WriteString(ret + "     ")
	if v.letter == 'b' || v.letter == 'v' {
		b.WriteString(": " + arguments(space, row) + ": ")
	}
	b.WriteString(s.callSite(ctx, v, row))
	if v.letter == 'v' && f.Kind == windows.TrapFrame && row.inline == nil {
		b.WriteString(" (TrapFrame @ " + format.Addr(f.Trap) + ")")
	}
	b.WriteString(s.rowSource(ctx, v, row))
	s.printf("%s\n", b.String())
}

// rowSource is the place in the source that a row is at, "" when it is not known
// or not asked for. An inline row's is that of the function it stands for.
func (s *Session) rowSource(ctx context.Context, v stackView, row stackRow) string {
	p, ok := s.place(ctx, row.frame.IP)
	if !ok || v.noLines {
		return ""
	}
	if row.inline != nil {
		p.File, p.Line = row.inline.File, row.inline.Line
	}
	return s.sourceSuffix(p)
}

// arguments are the four values that a called function may keep its arguments
// in: the home area of its caller's frame.
func arguments(space memory.Space, row stackRow) string {
	if row.inline != nil {
		return strings.Repeat(inlineNumber+" ", 4)
	}
	var b strings.Builder
	at := row.frame.CallerSP
	for i := range uint64(4) {
		arg, err := memory.ReadUint(space, at+8*i, 8)
		if err != nil || at == 0 {
			arg = 0
		}
		b.WriteString(format.Addr(arg) + " ")
	}
	return b.String()
}

// callSite names the code of a frame, with its parameters where the view asks
// for them.
func (s *Session) callSite(ctx context.Context, v stackView, row stackRow) string {
	f := row.frame
	if row.inline != nil {
		return plusOffset(s.callName(ctx, row), row.inline.Offset)
	}
	name := s.symbolText(ctx, f.IP)
	if name == "" {
		return bareAddress(f.IP)
	}
	if v.letter != 'p' && v.letter != 'P' {
		return name
	}
	params, ok := s.frameParameters(ctx, f)
	if !ok {
		return name
	}
	before, between := "", ", "
	if v.letter == 'P' && len(params) > 0 {
		before, between = "\n\t\t\t", ", \n\t\t\t"
	}
	site := s.callName(ctx, row)
	return site + "(" + before + strings.Join(params, between) + ")" + strings.TrimPrefix(name, site)
}

// bareAddress is how an address in no module is written where a name should be.
func bareAddress(va uint64) string {
	if va>>32 == 0 {
		return fmt.Sprintf("0x%x", va)
	}
	return fmt.Sprintf("0x%08x`%08x", va>>32, uint32(va))
}

// callName names the code of a frame without an offset.
func (s *Session) callName(ctx context.Context, row stackRow) string {
	f := row.frame
	if p, ok := s.place(ctx, f.IP); ok {
		if row.inline != nil {
			return inlineName(p.Module, row.inline)
		}
		if p.Outside {
			return placeText(p, f.IP)
		}
		if p.Name == "" {
			return p.Module.Name
		}
		return p.Module.Name + "!" + p.Name
	}
	name, _, _ := strings.Cut(s.symbolText(ctx, f.IP), "+")
	if name == "" {
		return "0x0"
	}
	return name
}

// rawStack is kd: the dwords of the stack from 16 bytes below the caller's
// stack pointer.
func (s *Session) rawStack(ctx context.Context, c *expr.Cursor) error {
	count := s.settings.kframes
	explicit := false
	if !c.Done() {
		if b := c.Rest()[0]; b < '0' || b > '9' {
			return expr.Caret("Syntax error", c.Pos)
		}
		n, err := s.number(c)
		if err != nil {
			return err
		}
		explicit = true
		if n > maxFrames {
			s.printf("Requested number of stack frames (0x%x) is too large! The maximum number is 0x%x.\n", n, maxFrames)
			return expr.Caret("Range error", c.Pos)
		}
		if n != 0 {
			count = int(n)
		}
	}
	regs, err := s.anyRegisters()
	if err != nil {
		return err
	}
	if !explicit && s.scope.set {
		s.printf("  *** Stack trace for last set context - .thread/.cxr resets it\n")
	}
	st := s.walk(ctx, regs, 1)
	if len(st.Frames) == 0 {
		return ctx.Err()
	}
	below := uint64(0x10)
	switch {
	case amd64Part(regs) == nil: // no return address and frame pointer lie there
		below = 0
	case x86Code(regs):
		below = 8
	}
	at, space := st.Frames[0].CallerSP-below, s.space()
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := "????????"
		var b [4]byte
		if n, err := space.Read(at, b[:]); err == nil && n == len(b) {
			v := le32(b[:])
			text = fmt.Sprintf("%08x", v)
			if name := s.symbolText(ctx, uint64(v)); name != "" {
				text += " " + name
			}
		}
		s.printf("%s  %s\n", s.addressText(at), text)
		at += uint64(len(b))
	}
	return nil
}
