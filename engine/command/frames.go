package command

import (
	"context"

	"kdap/engine/arch"
	"kdap/engine/expr"
	"kdap/engine/windows"
)

func frameCommands() []*Command {
	return []*Command{cmdFrame(), cmdNextFrame(), cmdPreviousFrame()}
}

func cmdFrame() *Command {
	return &Command{
		Names: []string{".frame"}, Args: "[/r] [/c] [N] | = StackPtr [InstructionPtr] [N]",
		Short: "choose the frame whose variables other commands see",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			opt := s.letterOptions(c.Args, "rc")
			if c.Args.Accept("=") {
				if err := s.chooseFromBase(ctx, c.Args); err != nil {
					return err
				}
			} else {
				number, given := uint64(0), opt['r'] || opt['c']
				if !c.Args.Done() {
					var err error
					if number, err = s.number(c.Args); err != nil {
						return err
					}
					given = true
				}
				if given {
					s.chooseFrame(ctx, number)
				}
			}
			s.printCurrentFrame(ctx)
			if opt['c'] {
				s.commitFrame()
			}
			if opt['r'] || opt['c'] {
				return s.printFrameRegisters(ctx)
			}
			return nil
		},
	}
}

func cmdNextFrame() *Command {
	return &Command{
		Names: []string{".f+"}, Short: "choose the caller's frame",
		Run: func(ctx context.Context, s *Session, _ *Call) error {
			s.chooseFrame(ctx, uint64(s.frameNumber())+1)
			s.printCurrentFrame(ctx)
			return nil
		},
	}
}

func cmdPreviousFrame() *Command {
	return &Command{
		Names: []string{".f-"}, Short: "choose the frame that this one called",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if s.frameNumber() == 0 {
				return expr.Caret("Current frame index underflow", c.Args.Pos-len(".f-"))
			}
			s.chooseFrame(ctx, uint64(s.frameNumber())-1)
			s.printCurrentFrame(ctx)
			return nil
		},
	}
}

// frameNumber returns the number of the chosen frame, as k numbers them.
func (s *Session) frameNumber() int { return s.scope.base + s.scope.frame.number }

// chooseFrame makes frame n the chosen one, or says why it cannot.
func (s *Session) chooseFrame(ctx context.Context, n uint64) {
	if n < uint64(s.scope.base) {
		s.printf("Frame 0x%x is before current base frame 0x%x\n", n, s.scope.base)
		return
	}
	if s.scope.regs == nil || !s.chooseWalked(ctx, s.scope.regs, n-uint64(s.scope.base)) {
		s.printf("Cannot find frame 0x%x, previous scope unchanged\n", n)
	}
}

// chooseWalked walks from regs and chooses frame n of that walk.
func (s *Session) chooseWalked(ctx context.Context, regs arch.Registers, n uint64) bool {
	if n >= maxFrames {
		return false
	}
	row, ok := s.rowAt(ctx, s.walk(ctx, regs, int(n)+1).Frames, n)
	if ok {
		s.scope.frame = frameScope{number: int(n), walked: &row.frame, inlined: row.inlined}
	}
	return ok
}

// loadFor loads the symbols that walking a frame asks for: those of its own
// module and of its caller's.
func (s *Session) loadFor(ctx context.Context, f windows.Frame) {
	for _, ip := range []uint64{f.IP, f.Return} {
		if m := s.moduleSet(ctx).Find(ip); m != nil {
			s.symbolsOf(ctx, m)
		}
	}
}

// chooseFromBase is .frame =: a walk from another stack pointer, and perhaps
// another instruction. Of several values the last is the frame's number.
func (s *Session) chooseFromBase(ctx context.Context, c *expr.Cursor) error {
	sp, err := s.address(c)
	if err != nil {
		return err
	}
	values := []uint64{}
	for len(values) < 2 && !c.Done() {
		v, err := s.number(c)
		if err != nil {
			return err
		}
		values = append(values, v)
	}
	regs, err := s.anyRegisters()
	if err != nil {
		return err
	}
	ip := regs.ProgramCounter()
	var n uint64
	if len(values) > 0 {
		n = values[len(values)-1]
		if n > maxFrames {
			return expr.Caret("Range error", c.Pos)
		}
	}
	if len(values) == 2 {
		ip = values[0]
	}
	if !s.chooseWalked(ctx, regs.At(ip, sp), n) {
		s.printf("Cannot find frame 0x%x, previous scope unchanged\n", n)
	}
	return nil
}

// currentFrame returns the chosen frame. Before one was chosen in a set
// context, nothing was walked and its caller is not known.
func (s *Session) currentFrame(ctx context.Context) (windows.Frame, bool) {
	if f := s.scope.frame.walked; f != nil {
		return *f, true
	}
	regs := s.scope.regs
	if regs == nil {
		return windows.Frame{}, false
	}
	if st := s.walk(ctx, regs, 1); !s.scope.set && len(st.Frames) > 0 {
		s.loadFor(ctx, st.Frames[0])
		return st.Frames[0], true
	}
	return windows.Frame{SP: regs.StackPointer(), IP: regs.ProgramCounter(), Module: s.moduleSet(ctx).Find(regs.ProgramCounter())}, true
}

func (s *Session) printCurrentFrame(ctx context.Context) {
	f, ok := s.currentFrame(ctx)
	if !ok {
		return
	}
	row := s.rowOf(ctx, f, s.scope.frame.inlined)
	if s.scope.frame.walked == nil {
		row = s.rows(ctx, f)[0]
	}
	s.printStackRow(ctx, stackView{numbers: true}, s.space(), s.frameNumber(), row, false, 0)
}

// commitFrame makes the chosen frame's registers the register context.
func (s *Session) commitFrame() {
	regs, err := s.frameRegs()
	if err != nil {
		return
	}
	n := s.frameNumber()
	s.setRegisters(regs)
	s.scope.base = n
}

// printFrameRegisters prints the registers of the chosen frame.
func (s *Session) printFrameRegisters(ctx context.Context) error {
	regs, err := s.frameRegs()
	if err != nil {
		return err
	}
	s.showRegisters(ctx, regs, s.settings.regMask)
	return nil
}
