package command

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/types"
)

// assignRegister sets a register to what follows the equals sign. The dump
// stays as it is: the change lives in the session.
func (s *Session) assignRegister(c *expr.Cursor, name string, typed bool) error {
	if n, ok := fixedAlias(name); ok {
		rest := c.Rest()
		if i := strings.IndexByte(rest, ';'); i >= 0 {
			rest = rest[:i]
		}
		c.Pos += len(rest)
		s.setFixedAlias(n, strings.TrimLeft(rest, " \t"))
		return nil
	}
	if c.Done() {
		return Failf("%s: give the new value behind the equals sign", name)
	}
	if strings.HasPrefix(name, "$") {
		return s.assignPseudo(c, name, typed)
	}
	if typed {
		return expr.Caret("Bad register error", c.Pos)
	}
	regs, err := s.registers()
	if err != nil {
		return err
	}
	if b, ok := vectorPart(regs, name); ok {
		v, err := parseVector(c, len(b))
		if err != nil {
			return err
		}
		if err := s.changeRegisters(c); err != nil {
			return err
		}
		changed, _ := vectorPart(amd64Part(s.scope.regs), name)
		copy(changed, v)
		return nil
	}
	v, err := s.number(c)
	if err != nil {
		return err
	}
	if err := s.changeRegisters(c); err != nil {
		return err
	}
	if !s.scope.regs.Set(name, v) {
		if s.scope.special == nil {
			s.scope.special = map[string]uint64{}
		}
		s.scope.special[name] = v
	}
	return nil
}

// changeRegisters makes the registers the session's own before they are
// changed. Those of a set context cannot be.
func (s *Session) changeRegisters(c *expr.Cursor) error {
	if s.scope.set {
		return expr.Caret("Bad register error", c.Pos)
	}
	if s.scope.own == nil {
		s.scope.own = s.scope.regs.At(s.scope.regs.ProgramCounter(), s.scope.regs.StackPointer())
	}
	s.scope.regs = s.scope.own
	return nil
}

// assignPseudo sets $t0 … $t19 and $ip. Without a type it drops a set context,
// as the debugger does; r? keeps it.
func (s *Session) assignPseudo(c *expr.Cursor, name string, typed bool) error {
	n, user := userPseudo(name)
	if typed {
		if !user {
			return expr.Caret("Bad register error", c.Pos)
		}
		v, err := expr.Cpp(s.env(), c)
		if err != nil {
			return err
		}
		s.pseudo.t[n] = v
		return nil
	}
	if !user && name != "$ip" {
		return expr.Caret("Bad register error", c.Pos)
	}
	v, err := s.number(c)
	if err != nil {
		return err
	}
	switch {
	case user:
		s.dropSetContext()
		s.pseudo.t[n] = expr.Constant(typeUint64, v)
	default:
		if err := s.changeRegisters(c); err != nil {
			return err
		}
		s.scope.regs = s.scope.regs.At(v, s.scope.regs.StackPointer())
		s.scope.own = s.scope.regs
	}
	return nil
}

func (s *Session) dropSetContext() {
	if s.scope.set {
		s.resetRegisters()
	}
}

// The types of pseudo-registers that are not the kernel's.
var (
	typeUint64 = &types.Type{Kind: types.Uint, Name: "unsigned int64", Size: 8}
	typeUint32 = &types.Type{Kind: types.Uint, Name: "unsigned int", Size: 4}
	typeByte   = &types.Type{Kind: types.UChar, Name: "unsigned char", Size: 1}
)

// parseVector reads the floats of a vector register, the highest element first.
func parseVector(c *expr.Cursor, size int) ([]byte, error) {
	const element = 4
	start := c.Pos
	b := make([]byte, size)
	if size%element != 0 {
		return nil, expr.Caret("Syntax error", start)
	}
	for at := size - element; at >= 0; at -= element {
		f, err := strconv.ParseFloat(c.Word(), 32)
		if err != nil {
			return nil, expr.Caret("Syntax error", start)
		}
		binary.LittleEndian.PutUint32(b[at:], math.Float32bits(float32(f)))
	}
	return b, nil
}
