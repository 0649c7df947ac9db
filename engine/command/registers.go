package command

import (
	"context"
	"strconv"
	"strings"

	"kdap/engine/arch/amd64"
	"kdap/engine/expr"
)

func registerCommands() []*Command {
	return []*Command{cmdRegisters()}
}

func cmdRegisters() *Command {
	return &Command{
		Names: []string{"r"},
		Args:  "[M Mask|F|X|Y|YI|Z|K] [Register[:Type]][, …] | Register=Value | ? $tN=Expression | . | m [Mask|?]",
		Short: "show registers, change the session's copy of them, set pseudo-registers",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			return s.runRegisters(ctx, c.Args, false)
		},
	}
}

// maskLetters are the forms of r that choose a mask by letters; the longer ones first.
var maskLetters = []struct {
	word string
	mask registerMask
}{{"YI", maskYMMInteger}, {"F", maskFloat}, {"X", maskXMM}, {"Y", maskYMM}, {"Z", maskZMM}, {"K", maskOpmask}}

// runRegisters is r behind its letter. bare says that no registers may be
// named, as on another processor.
func (s *Session) runRegisters(ctx context.Context, c *expr.Cursor, bare bool) error {
	start := c.Pos
	rest := c.Rest()
	has := func(prefix string) bool { return strings.HasPrefix(rest, prefix) }
	if has("m") {
		c.Pos++
		return s.runMask(c)
	}
	if err := s.checkMachine(start); err != nil {
		return err
	}
	mask, typed := s.settings.regMask, false
	switch {
	case has("."):
		c.Pos++
		return s.showUsedRegisters()
	case has("?"):
		c.Pos++
		typed = true
	case has("M"):
		c.Pos++
		v, err := s.number(c)
		if err != nil {
			return err
		}
		mask = s.validMask(v)
	default:
		for _, m := range maskLetters {
			if has(m.word) {
				c.Pos += len(m.word)
				mask = m.mask
				break
			}
		}
	}
	if arm := s.arm64Registers(); arm != nil {
		return s.runARM64Registers(ctx, c, arm, mask)
	}
	regs, err := s.anyRegisters()
	if err != nil {
		return err
	}
	if !c.Done() && bare {
		return expr.Caret("Syntax error", c.Pos)
	}
	if s.scope.set {
		s.printf("Last set context:\n")
	}
	if c.Done() {
		s.showRegisters(ctx, regs, mask)
		return nil
	}
	return s.listRegisters(c, mask, typed)
}

// listRegisters shows or sets the named registers.
func (s *Session) listRegisters(c *expr.Cursor, mask registerMask, typed bool) error {
	printed := false
	for first := true; ; first = false {
		if !first && printed {
			s.printf(" ")
		}
		name := registerName(c)
		if !s.hasRegister(name) {
			return expr.Caret("Bad register error", c.Pos)
		}
		var text string
		rest := c.Rest()
		if strings.HasPrefix(rest, ":") {
			c.Pos++
			t, err := parseElement(c)
			if err != nil {
				return err
			}
			bits, ok := s.registerBytes(name)
			if !ok {
				return expr.Caret("Bad register error", c.Pos)
			}
			text = t.format(bits)
		} else {
			if !c.Done() {
				switch c.Rest()[0] {
				case '=':
					c.Pos++
					if err := s.assignRegister(c, name, typed); err != nil {
						return err
					}
					if c.Accept(",") {
						continue
					}
					return nil
				case ',':
				default:
					return expr.Caret("Syntax error", c.Pos)
				}
			}
			var ok bool
			if text, ok = s.registerText(name, mask); !ok {
				return expr.Caret("Bad register error", c.Pos)
			}
		}
		s.printf("%s=%s", shownName(name), text)
		printed = true
		c.SkipBlanks()
		if !strings.HasPrefix(c.Rest(), ",") {
			s.printf("\n")
			return nil
		}
		c.Pos++
	}
}

// registerName takes the name of a register, in lower case, without its @.
func registerName(c *expr.Cursor) string {
	c.SkipBlanks()
	c.Accept("@")
	rest := c.Rest()
	i := 0
	for i < len(rest) && (isDigit(rest[i]) || rest[i]|0x20 >= 'a' && rest[i]|0x20 <= 'z' || strings.IndexByte("_$.", rest[i]) >= 0) {
		i++
	}
	c.Pos += i
	return strings.ToLower(rest[:i])
}

// shownName is how the name stands before the value: an alias loses its point.
func shownName(name string) string {
	if rest, ok := strings.CutPrefix(name, "$."); ok {
		return "$" + rest
	}
	return name
}

// fixedAlias returns the number of the alias $.u0 … $.u9.
func fixedAlias(name string) (int, bool) {
	if len(name) == 4 && strings.HasPrefix(name, "$.u") && isDigit(name[3]) {
		return int(name[3] - '0'), true
	}
	return 0, false
}

// hasRegister reports whether there is a register or pseudo-register of the name.
func (s *Session) hasRegister(name string) bool {
	if _, ok := fixedAlias(name); ok {
		return true
	}
	if strings.HasPrefix(name, "$") {
		_, err := s.pseudoRegister(s.ctx, name)
		return err != expr.ErrNotFound
	}
	var none amd64.Context
	if _, _, ok := none.Get(name); ok {
		return true
	}
	if _, ok := vectorPart(&none, name); ok {
		return true
	}
	_, ok := specialNames[name]
	return ok
}

// registerText formats a register as r shows it: whole registers have all
// their digits, parts have only those they need.
func (s *Session) registerText(name string, mask registerMask) (string, bool) {
	if n, ok := fixedAlias(name); ok {
		if text, ok := s.fixedAliasText(n); ok {
			return text, true
		}
		return "<Empty>", true
	}
	if strings.HasPrefix(name, "$") {
		r, err := s.pseudoRegister(s.ctx, name)
		if err != nil {
			return "", false
		}
		return hexDigits(pseudoNumber(r), 16), true
	}
	regs, err := s.registers()
	if err != nil {
		return "", false
	}
	if v, bits, ok := regs.Get(name); ok {
		switch {
		case bits == 64 && mask&maskInteger64 == 0:
			return hexDigits(v&0xffffffff, 8), true
		case bits == 64, bits == 32 && x86Code(s.scope.regs), name == "efl", name == "mxcsr", bits == 16 && wholeWord(name):
			return hexDigits(v, bits/4), true
		}
		return strconv.FormatUint(v, 16), true
	}
	if b, ok := vectorPart(regs, name); ok {
		return vectorText(name, b), true
	}
	if v, ok := s.specialRegister(name); ok {
		return hexDigits(v, specialNames[name].digits), true
	}
	return "", false
}

// wholeWord tells 16-bit registers from the 16-bit parts of others.
func wholeWord(name string) bool {
	switch name {
	case "cs", "ds", "es", "fs", "gs", "ss", "fpcw", "fpsw", "fptw":
		return true
	}
	return false
}

// pseudoNumber is a pseudo-register's value as a number; a structure has none.
func pseudoNumber(r expr.Register) uint64 {
	if r.Class != expr.Typed {
		return r.Bits
	}
	v, err := r.Value.Number(nil)
	if err != nil {
		return 0
	}
	return v
}
