package command

import (
	"context"
	"strings"

	"kdap/engine/expr"
)

func symbolOptionCommands() []*Command {
	return []*Command{cmdSymopt(), cmdLines(), cmdSym()}
}

// symoptNames are the bits of .symopt in the order of its table.
var symoptNames = []struct {
	bit  uint32
	name string
}{
	{0x1, "CASE_INSENSITIVE"},
	{0x2, "UNDNAME"},
	{0x4, "DEFERRED_LOADS"},
	{0x8, "NO_CPP"},
	{0x10, "LOAD_LINES"},
	{0x20, "OMAP_FIND_NEAREST"},
	{0x40, "LOAD_ANYTHING"},
	{0x80, "IGNORE_CVREC"},
	{0x100, "NO_UNQUALIFIED_LOADS"},
	{0x200, "FAIL_CRITICAL_ERRORS"},
	{0x400, "EXACT_SYMBOLS"},
	{0x800, "ALLOW_ABSOLUTE_SYMBOLS"},
	{0x1000, "IGNORE_NT_SYMPATH"},
	{0x2000, "INCLUDE_32BIT_MODULES"},
	{0x4000, "PUBLICS_ONLY"},
	{0x8000, "NO_PUBLICS"},
	{0x10000, "AUTO_PUBLICS"},
	{0x20000, "NO_IMAGE_SEARCH"},
	{0x80000, "NO_PROMPTS"},
	{0x100000, "OVERWRITE"},
	{0x200000, "IGNORE_IMAGEDIR"},
	{0x400000, "FLAT_DIRECTORY"},
	{0x800000, "FAVOR_COMPRESSED"},
	{0x1000000, "ALLOW_ZERO_ADDRESS"},
	{0x2000000, "DISABLE_SYMSRV_AUTODETECT"},
	{0x4000000, "READONLY_CACHE"},
	{0x8000000, "SYMPATH_LAST"},
	{symoptDebug, "DEBUG"},
	{0x10000000, "DISABLE_FAST_SYMBOLS"},
	{0x20000000, "DISABLE_SYMSRV_TIMEOUT"},
	{0x40000000, "DISABLE_SRVSTAR_ON_STARTUP"},
}

const (
	symoptDeferred  = 0x4
	symoptSecure    = 0x40000 // refused
	symoptNoPrompts = 0x80000
	symoptDebug     = 0x80000000 // noisy
)

func cmdSymopt() *Command {
	return &Command{
		Names: []string{".symopt", ".symopt+", ".symopt-"}, Args: "[Flags]", Short: "show or change the symbol options",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if !c.Args.Done() {
				v, err := s.number(c.Args)
				if err != nil {
					return err
				}
				next := uint64(s.settings.symopt) | v
				if strings.HasSuffix(c.Name, "-") {
					next = uint64(s.settings.symopt) &^ v
				}
				if v>>32 != 0 || next&symoptSecure != 0 {
					return Tellf("Invalid symbol options")
				}
				s.setSymopt(ctx, uint32(next))
			}
			s.printf("Symbol options are 0x%X:\n", s.settings.symopt)
			for _, o := range symoptNames {
				if s.settings.symopt&o.bit != 0 {
					s.printf("  0x%08X - SYMOPT_%s\n", o.bit, o.name)
				}
			}
			return nil
		},
	}
}

// setSymopt changes the symbol options. Every module is deferred then, or
// loaded at once where loads are not to be deferred.
func (s *Session) setSymopt(ctx context.Context, opts uint32) {
	if opts == s.settings.symopt {
		return
	}
	changed := s.settings.symopt ^ opts
	s.settings.symopt = opts
	s.settings.lines = opts&symoptLines != 0
	s.symbols.noisy = opts&symoptDebug != 0
	if changed&^(symoptDebug|symoptNoPrompts|symoptNoUnqualified) == 0 {
		return
	}
	s.deferAll()
	if opts&symoptDeferred == 0 {
		for _, m := range s.moduleSet(ctx).All() {
			if ctx.Err() != nil {
				return
			}
			s.symbolsOf(ctx, m)
		}
	}
}

func cmdLines() *Command {
	return &Command{
		Names: []string{".lines"}, Args: "[-e|-d|-t]", Short: "switch source lines on or off",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			opts := s.settings.symopt ^ symoptLines
			for !c.Args.Done() && strings.IndexByte("-/", c.Args.Text[c.Args.Pos]) >= 0 {
				c.Args.Pos += min(2, len(c.Args.Text)-c.Args.Pos)
				switch c.Args.Text[c.Args.Pos-1] {
				case 'e':
					opts = s.settings.symopt | symoptLines
				case 'd':
					opts = s.settings.symopt &^ symoptLines
				case 't':
					opts = s.settings.symopt ^ symoptLines
				default:
					return expr.Caret("Syntax error", c.Args.Pos)
				}
			}
			s.setSymopt(ctx, opts)
			if opts&symoptLines != 0 {
				s.printf("Line number information will be loaded\n")
			} else {
				s.printf("Line number information will not be loaded\n")
			}
			return nil
		},
	}
}

func cmdSym() *Command {
	return &Command{
		Names: []string{"!sym"}, Args: "[noisy|quiet|prompts|prompts off]", Short: "tell in detail how symbols are loaded, or not",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			word := c.Word()
			opts := s.settings.symopt
			switch word {
			case "noisy":
				opts |= symoptDebug
			case "quiet":
				opts &^= symoptDebug
			case "prompts":
				opts &^= symoptNoPrompts
				if c.Peek() == "off" {
					opts |= symoptNoPrompts
				}
			default:
				s.printf("!sym <noisy/quiet - prompts/prompts off> - ")
			}
			c.Args.Pos = c.end0()
			if opts&symoptDebug != 0 && !s.symbols.noisy {
				// What was used before was loaded before, in silence.
				if nt := s.sys.Nt(); nt != nil && s.symbols.own != nil {
					s.symbolsOf(ctx, nt)
				}
				s.settle(ctx)
			}
			s.settings.symopt = opts
			s.symbols.noisy = opts&symoptDebug != 0
			mode, prompts := "quiet", "on"
			if s.symbols.noisy {
				mode = "noisy"
			}
			if opts&symoptNoPrompts != 0 {
				prompts = "off"
			}
			s.printf("%s mode - symbol prompts %s\n", mode, prompts)
			return nil
		},
	}
}

// end0 is where the command's arguments end.
func (c *Call) end0() int {
	if i := strings.IndexByte(c.Args.Rest(), ';'); i >= 0 {
		return c.Args.Pos + i
	}
	return len(c.Args.Text)
}
