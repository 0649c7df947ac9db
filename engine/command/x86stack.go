package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
	"kdap/engine/format"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// word32 is the size of what 32-bit code pushes.
const word32 = 4

// printX86Stack prints the stack of 32-bit code. In a 64-bit dump the columns are
// as wide as there, the values are not.
func (s *Session) printX86Stack(ctx context.Context, v stackView, c *amd64.Context, count int) error {
	s.printf("%s\n", s.x86Header(v))
	warned := false
	st := s.walk(ctx, &x86.Context{Context: *c}, min(count, maxFrames))
	number, previous := 0, uint64(0)
	for i, f := range st.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m := s.moduleSet(ctx).Find(f.Return); m != nil {
			s.symbolsOf(ctx, m)
		}
		if why := s.unwindDoubt(ctx, f); why != "" && !warned {
			s.printf("WARNING: %s. Following frames may be wrong.\n", why)
			warned = true
		}
		for _, row := range s.rows(ctx, f) {
			if number >= count {
				return ctx.Err()
			}
			s.printX86Row(ctx, v, s.scope.base+number, row, i > 0, previous)
			number++
		}
		previous = f.ChildEBP()
	}
	if st.Ended != nil {
		s.notef("the walk ended: %v", st.Ended)
	}
	return ctx.Err()
}

// unwindDoubt says why the walk out of a frame is a guess, "" when it is none.
func (s *Session) unwindDoubt(ctx context.Context, f windows.Frame) string {
	m := s.moduleSet(ctx).Find(f.IP)
	switch {
	case m == nil:
		return "Frame IP not in any known module"
	case s.symbolsOf(ctx, m).PDB() == nil:
		return "Stack unwind information not available"
	}
	return ""
}

func (s *Session) x86Header(v stackView) string {
	var b strings.Builder
	if v.numbers {
		b.WriteString(" # ")
	}
	if v.memory {
		b.WriteString("  Memory  ")
	}
	if v.letter == 'c' {
		return b.String() + "Call Site"
	}
	width := len(s.addressText(0))
	fmt.Fprintf(&b, "%-*s %-*s ", width, "ChildEBP", width+len("    "), "RetAddr")
	if v.letter == 'b' || v.letter == 'v' {
		fmt.Fprintf(&b, "%-*s", 3*(width+1), "Args to Child")
	}
	return b.String()
}

func (s *Session) printX86Row(ctx context.Context, v stackView, n int, row stackRow, behind bool, previous uint64) {
	f := row.frame
	var b strings.Builder
	if v.numbers {
		b.WriteString(frameNumber(n) + " ")
	}
	ebp := f.ChildEBP()
	if v.memory {
		size := ""
		if behind && row.inline == nil && ebp >= previous {
			size = fmt.Sprintf("%x", uint32(ebp-previous))
		}
		fmt.Fprintf(&b, "%9s ", size)
	}
	switch {
	case v.letter == 'c':
		s.printf("%s%s\n", b.String(), s.callName(ctx, row))
		return
	case row.inline != nil:
		b.WriteString("(Inline) --------     ")
	default:
		b.WriteString(format.Addr32(ebp) + " " + format.Addr32(f.Return) + "     ")
	}
	if v.letter == 'b' || v.letter == 'v' {
		b.WriteString(x86Arguments(s.space(), row))
	}
	b.WriteString(s.callSite(ctx, v, row))
	if v.letter == 'v' && row.inline == nil {
		b.WriteString(fpoText(f.X86))
	}
	b.WriteString(s.rowSource(ctx, v, row))
	s.printf("%s\n", b.String())
}

// x86Arguments are the three values above the return address: where a function
// finds its parameters.
func x86Arguments(space memory.Space, row stackRow) string {
	const shown = 3
	if row.inline != nil {
		return strings.Repeat("-------- ", shown)
	}
	var b strings.Builder
	at := row.frame.ChildEBP() + 2*word32
	for i := range uint64(shown) {
		v, err := memory.ReadUint(space, at+word32*i, word32)
		if err != nil {
			v = 0
		}
		b.WriteString(format.Addr32(v) + " ")
	}
	return b.String()
}

// fpoText says how a function keeps its frame: without frame pointer the dwords
// of parameters and locals and the number of registers it saves.
func fpoText(f *windows.Frame32) string {
	const nonFPO = 3 // FRAME_NONFPO of winnt.h
	if f == nil {
		return ""
	}
	kind := ""
	switch d, o := f.Info.Data, f.Info.FPO; {
	case d != nil && d.HasSEH, o != nil && o.HasSEH:
		kind = "SEH"
	case d != nil && strings.Contains(d.Program, "$ebp ="), o != nil && o.FrameType == nonFPO:
		kind = "Non-Fpo"
	case d != nil && !strings.Contains(d.Program, ".raSearch"):
		kind = "Non-Fpo"
	case d != nil:
		kind = fmt.Sprintf("%d,%d,%d", d.Params/word32, d.Locals/word32, d.SavedRegs/word32)
	case o != nil:
		kind = fmt.Sprintf("%d,%d,%d", o.Params/word32, o.Locals/word32, o.SavedRegs)
	default:
		return ""
	}
	return " (FPO: [" + kind + "])"
}
