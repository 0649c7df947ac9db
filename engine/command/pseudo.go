package command

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/types"
)

// pseudoRegisters are the values a session keeps under $ names.
type pseudoRegisters struct {
	t    [20]expr.Value // $t0 … $t19
	last uint64         // $exp
	p    uint64         // $p: the first element the last d command showed
}

// pseudoRegister returns a pseudo-register by its name in lower case.
func (s *Session) pseudoRegister(ctx context.Context, name string) (expr.Register, error) {
	number := func(v uint64, err error) (expr.Register, error) {
		if err != nil {
			return expr.Register{}, expr.ErrUnavailable
		}
		return expr.Register{Bits: v}, nil
	}
	typed := func(kernelType string, v uint64, err error) (expr.Register, error) {
		if err != nil {
			return expr.Register{}, expr.ErrUnavailable
		}
		t, terr := s.sys.Type(kernelType)
		if terr != nil {
			return expr.Register{Bits: v}, nil
		}
		ptr := (&types.Type{Kind: types.Pointer, Size: 8}).NewLazy(func(l *types.Lazy) { l.Elem = t })
		return expr.Register{Class: expr.Typed, Bits: v, Value: expr.Constant(ptr, v)}, nil
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(name, "$t"), 10, 8); err == nil &&
		strings.HasPrefix(name, "$t") && n < uint64(len(s.pseudo.t)) && name == "$t"+strconv.FormatUint(n, 10) {
		v := s.pseudo.t[n]
		return expr.Register{Class: expr.Typed, Bits: v.Bits, Value: v}, nil
	}
	switch name {
	case "$proc":
		return typed("_EPROCESS", s.scope.process.Addr(), nil)
	case "$thread":
		return typed("_ETHREAD", s.scope.thread.Addr(), nil)
	case "$peb":
		if s.scope.process.Addr() == 0 {
			return expr.Register{}, expr.ErrUnavailable
		}
		v, err := s.scope.process.PEB()
		return typed("_PEB", v, err)
	case "$teb":
		if s.scope.thread.Addr() == 0 {
			return expr.Register{}, expr.ErrUnavailable
		}
		v, err := s.scope.thread.TEB()
		return typed("_TEB", v, err)
	case "$ip", "$eventip":
		if s.scope.regs == nil {
			return expr.Register{}, expr.ErrUnavailable
		}
		return number(s.scope.regs.RIP, nil)
	case "$csp":
		if s.scope.regs == nil {
			return expr.Register{}, expr.ErrUnavailable
		}
		return number(s.scope.regs.SP(), nil)
	case "$exp":
		return number(s.pseudo.last, nil)
	case "$p":
		return number(s.pseudo.p, nil)
	case "$ptrsize":
		return number(8, nil)
	case "$pagesize":
		return number(0x1000, nil)
	case "$frame":
		return number(uint64(s.scope.frame.number), nil)
	case "$bug_code":
		return number(uint64(s.sys.BugCheck().Code), nil)
	case "$bug_param1", "$bug_param2", "$bug_param3", "$bug_param4":
		return number(s.sys.BugCheck().Params[name[len(name)-1]-'1'], nil)
	}
	return expr.Register{}, expr.ErrNotFound
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// specialRegister returns a control register of the current processor.
func (s *Session) specialRegister(name string) (uint64, bool) {
	c, err := s.sys.Processor(s.scope.cpu)
	if err != nil {
		return 0, false
	}
	special := c.Object().Field("ProcessorState.SpecialRegisters")
	for _, r := range []struct{ name, field string }{
		{"cr0", "Cr0"}, {"cr2", "Cr2"}, {"cr3", "Cr3"}, {"cr4", "Cr4"}, {"cr8", "Cr8"},
	} {
		if r.name == name {
			v, err := special.Field(r.field).Uint()
			return v, err == nil
		}
	}
	return 0, false
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
