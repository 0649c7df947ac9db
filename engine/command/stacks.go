package command

import (
	"context"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/expr"
	"kdap/engine/windows"
)

func stackCommands() []*Command {
	return []*Command{cmdStack(), cmdKframes()}
}

// A stackView is how k shows a stack.
type stackView struct {
	letter  byte // b c d p P v, or 0
	links   bool // M
	numbers bool // n
	memory  bool // f
	noLines bool // L
}

// maxFrames is the largest count k takes.
const maxFrames = 0xffff

func cmdStack() *Command {
	return &Command{
		Names: []string{"k"}, Args: "[b|c|d|p|P|v] [M] [n] [f] [L] [FrameCount] | = StackPtr [InstructionPtr] [FrameCount]",
		Short: "show the stack",
		Run:   func(ctx context.Context, s *Session, c *Call) error { return s.runStack(ctx, c.Args) },
	}
}

func (s *Session) runStack(ctx context.Context, c *expr.Cursor) error {
	if err := s.checkMachine(c.Pos); err != nil {
		return err
	}
	v := s.parseStackView(c)
	if v.letter == 'd' {
		return s.rawStack(ctx, c)
	}
	base, count, explicit, err := s.parseStackBase(c)
	if err != nil {
		return err
	}
	regs, err := s.anyRegisters()
	if err != nil {
		return err
	}
	if base.sp != nil {
		ip := regs.ProgramCounter()
		if base.ip != nil {
			ip = *base.ip
		}
		regs = regs.At(ip, *base.sp)
	} else if !explicit && s.scope.set && !s.scope.foreign {
		s.printf("  *** Stack trace for last set context - .thread/.cxr resets it\n")
	}
	return s.printStack(ctx, v, regs, count)
}

// parseStackView reads the letter and the options, which stand in this order
// only: whatever follows is the number of frames.
func (s *Session) parseStackView(c *expr.Cursor) stackView {
	v := stackView{numbers: s.settings.numbers || s.settings.dml}
	c.SkipBlanks()
	if rest := c.Rest(); rest != "" && strings.IndexByte("bBcCdDpPvV", rest[0]) >= 0 {
		v.letter = rest[0]
		if v.letter != 'P' {
			v.letter |= 0x20
		}
		c.Pos++
		if v.letter == 'd' {
			return v
		}
	}
	option := func(letters string) bool {
		c.SkipBlanks()
		if rest := c.Rest(); rest != "" && strings.IndexByte(letters, rest[0]) >= 0 {
			c.Pos++
			return true
		}
		return false
	}
	if option("M") {
		v.links, v.numbers, v.noLines = true, true, true
	}
	if option("nN") {
		v.numbers = true
	}
	v.memory = option("fF")
	if option("L") {
		v.noLines = true
	}
	return v
}

// stackBase is where k = starts instead of the register context.
type stackBase struct{ sp, ip *uint64 }

// parseStackBase reads what follows the options. explicit says that a count or
// a base was given.
func (s *Session) parseStackBase(c *expr.Cursor) (base stackBase, count int, explicit bool, err error) {
	count = s.settings.kframes
	if c.Accept("=") {
		v, err := s.address(c)
		if err != nil {
			return base, 0, true, err
		}
		base.sp, explicit = &v, true
	}
	if c.Done() {
		return base, count, explicit, nil
	}
	n, err := s.number(c)
	if err != nil {
		return base, 0, true, err
	}
	if base.sp != nil && !c.Done() {
		ip := n
		base.ip = &ip
		if n, err = s.number(c); err != nil {
			return base, 0, true, err
		}
	}
	if n > maxFrames {
		s.printf("Requested number of stack frames (0x%x) is too large! The maximum number is 0x%x.\n", n, maxFrames)
		return base, 0, true, expr.Caret("Range error", c.Pos)
	}
	if n != 0 {
		count = int(n)
	}
	return base, count, true, nil
}

// walk walks the stack from regs in the session's memory and modules.
func (s *Session) walk(ctx context.Context, regs arch.Registers, count int) windows.Stack {
	return s.sys.Walk(ctx, windows.Walk{Regs: regs, Space: s.space(), Modules: s.moduleSet(ctx), Limit: count})
}

func cmdKframes() *Command {
	return &Command{
		Names: []string{".kframes"}, Args: "[FrameCount]", Short: "set how many frames k shows",
		Run: func(_ context.Context, s *Session, c *Call) error {
			if c.Args.Done() {
				s.printf("Default stack trace depth is 0n%d frames\n", int32(s.settings.kframes))
				return nil
			}
			n, err := s.number(c.Args)
			if err != nil {
				return err
			}
			if uint32(n) == 0 {
				return Tellf("Default stack trace depth can't be set to 0. Current value is 0n%d frames", int32(s.settings.kframes))
			}
			s.settings.kframes = int(uint32(n))
			s.printf("Default stack trace depth is 0n%d frames\n", int32(n))
			return nil
		},
	}
}
