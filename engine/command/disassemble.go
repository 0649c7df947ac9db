package command

import (
	"context"
	"math"
	"strings"

	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/arch/arm64"
	"kdap/engine/expr"
	"kdap/engine/memory"
)

func codeCommands() []*Command {
	return []*Command{
		cmdUnassemble(), cmdUnassembleBack(), cmdUnassembleAll(), cmdUnassembleFunction(), cmdUnassemblePhysical(),
		cmdUnassembleReal(), cmdUnassembleBIOS(), cmdSearchCode(), cmdAsm(), cmdFunctionEntry(),
	}
}

// defaultInstructions is how many instructions u shows.
const defaultInstructions = 8

func cmdUnassemble() *Command {
	return &Command{
		Names: []string{"u"}, Args: "[Range]", Short: "show code",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if rest := c.Args.Rest(); rest != "" && !isDelimiter(rest[0]) {
				return expr.Caret("Missing whitespace after u", c.Args.Pos)
			}
			return s.unassemble(ctx, c.Args, s.codeView(ctx), false)
		},
	}
}

func cmdUnassembleAll() *Command {
	return &Command{
		Names: []string{"uu"}, Args: "[Range]", Short: "show code, and go on where memory cannot be read",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			return s.unassemble(ctx, c.Args, s.codeView(ctx), true)
		},
	}
}

func cmdUnassemblePhysical() *Command {
	return &Command{
		Names: []string{"up"}, Args: "[Range]", Short: "show code at physical addresses",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			v := s.codeView(ctx)
			// Of code that physical memory does not have, the debugger shows a
			// byte that it finds at the same virtual address.
			v.spare = v.fetch
			phys := s.env().Physical()
			v.fetch = func(pa uint64, p []byte) int {
				if phys == nil {
					return 0
				}
				n, _ := memory.ReadPhysical(phys, pa, p) // why it ended is the error's, which is the same for all
				return n
			}
			v.bare, v.options.Symbol = true, nil
			return s.unassemble(ctx, c.Args, v, false)
		},
	}
}

func cmdUnassembleReal() *Command {
	return &Command{
		Names: []string{"ur"}, Args: "[Range]", Short: "show code as 16-bit code",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			v := s.codeView(ctx)
			v.mode, v.arm64 = disasm.Mode16, false
			return s.unassemble(ctx, c.Args, v, false)
		},
	}
}

// ux decodes the code of a BIOS, whose image the debugger wants to load.
func cmdUnassembleBIOS() *Command {
	return &Command{
		Names: []string{"ux"}, Args: "[Range]", Short: "show code of the machine's BIOS (not in a dump)",
		Run: func(_ context.Context, s *Session, c *Call) error {
			if _, err := s.codeRange(c.Args); err != nil {
				return err
			}
			return expr.Caret("Couldn't resolve", c.Args.Pos)
		},
	}
}

// A codeRange is the operand of the commands that show code.
type codeRange struct {
	start uint64
	count uint64 // most instructions
	last  uint64 // instructions begin here or before
	ends  bool   // an end was given rather than a length
}

// codeRange reads a range, or takes what follows the code shown last.
func (s *Session) codeRange(c *expr.Cursor) (codeRange, error) {
	from := c.Pos
	if c.Done() {
		c.Pos = from
		start, err := s.nextCode()
		return codeRange{start: start, count: defaultInstructions, last: math.MaxUint64}, err
	}
	r, err := expr.ReadRange(s.env(), c, expr.RangeSpec{ElemSize: 1, Default: defaultInstructions})
	if err != nil {
		return codeRange{}, err
	}
	out := codeRange{start: r.Addr, count: r.Count, last: math.MaxUint64}
	switch {
	case r.ByEnd:
		out.count, out.last, out.ends = math.MaxUint64, r.End, true
	case strings.Contains(c.Text[from:c.Pos], " l-"):
		// A length backwards counts bytes: the code up to the address.
		out.count, out.last = math.MaxUint64, r.Addr+r.Count-1
		if r.Count == 0 {
			out.count = 0
		}
	}
	return out, nil
}

// nextCode is where u goes on: at first the current instruction.
func (s *Session) nextCode() (uint64, error) {
	if s.code.next != nil {
		return *s.code.next, nil
	}
	return s.currentCode()
}

// unassemble shows a range of code. It fails at the first byte that cannot be
// read, unless it may pass over.
func (s *Session) unassemble(ctx context.Context, c *expr.Cursor, v *codeView, passOver bool) error {
	r, err := s.codeRange(c)
	if err != nil {
		return err
	}
	va := r.start
	s.code.next = &va
	for n := uint64(0); n < r.count && va >= r.start && va <= r.last; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := v.at(va)
		v.print(ctx, va, l.text)
		if !passOver && (l.state == disasm.Unreadable || l.state == disasm.Cut) {
			return expr.Caret("Memory access error", c.Pos)
		}
		if l.next <= va {
			return nil // the end of the address space
		}
		va = l.next
	}
	return nil
}

func cmdUnassembleBack() *Command {
	return &Command{
		Names: []string{"ub"}, Args: "[Address [L Count]]", Short: "show the code before an address",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			r, err := s.codeRange(c.Args)
			if err != nil {
				return err
			}
			if r.ends {
				return expr.Caret("ub requires a length", c.Args.Pos)
			}
			return s.unassembleBack(ctx, c.Args, r)
		},
	}
}

func (s *Session) unassembleBack(ctx context.Context, c *expr.Cursor, r codeRange) error {
	start := r.start
	s.code.next = &start
	if r.count == 0 {
		return nil
	}
	v := s.codeView(ctx)
	addrs, ok := v.before(r.start, r.count)
	if !ok {
		return expr.Caret("Unable to find valid previous instruction for", c.Pos)
	}
	start = addrs[0]
	for _, va := range addrs {
		if err := ctx.Err(); err != nil {
			return err
		}
		v.print(ctx, va, v.at(va).text)
	}
	return nil
}

// maxBack bounds how many instructions ub looks for.
const maxBack = 1 << 16

// before returns the addresses of the n instructions before va.
func (v *codeView) before(va, n uint64) ([]uint64, bool) {
	if n > maxBack {
		return nil, false
	}
	if !v.arm64 {
		return disasm.Before(v.mode, v.fetch, va, int(n))
	}
	const size = 4
	if va < n*size {
		return nil, false
	}
	var addrs []uint64
	for at := va - n*size; at < va; at += size {
		if inst, ok := arm64.At(arm64.Fetch(v.fetch), at); !ok || inst.Mnemonic == "" {
			return nil, false
		}
		addrs = append(addrs, at)
	}
	return addrs, true
}
