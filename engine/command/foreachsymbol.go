package command

import (
	"context"
	"errors"
	"strings"

	"kdap/engine/wildcard"
	"kdap/engine/windows"
)

func symbolLoopCommands() []*Command {
	return []*Command{
		{
			Names: []string{"!for_each_function"}, Args: "-m:Module -p:Pattern [-c:Commands]",
			Short: "run commands for every function of modules, @#FunctionName, @#SymbolName, @#SymbolAddress, @#ModName", Run: runForEachFunction,
		},
		{
			Names: []string{"!for_each_local"}, Args: `["Commands"]`,
			Short: "run commands for every variable of the chosen frame, @#Local", Run: runForEachLocal,
		},
	}
}

// A functionLoop is what !for_each_function was asked for.
type functionLoop struct{ module, pattern, commands string }

// functionLoop reads the options. The commands come last: they are the rest.
func (s *Session) functionLoop(c *Call) (l functionLoop, help bool, err error) {
	for !c.Args.Done() {
		rest := c.Args.Rest()
		switch {
		case strings.HasPrefix(rest, "-c:"):
			l.commands, help = s.loopText(c)
			return l, help, nil
		case strings.HasPrefix(rest, "-m:"):
			l.module = c.Word()[len("-m:"):]
		case strings.HasPrefix(rest, "-p:"):
			l.pattern = c.Word()[len("-p:"):]
		case strings.HasPrefix(rest, "-?"):
			c.Word()
			s.printHelp(c.Name)
			return l, true, nil
		default:
			return l, false, Failf("!for_each_function: unknown option %s", c.Word())
		}
	}
	return l, false, nil
}

func runForEachFunction(ctx context.Context, s *Session, c *Call) error {
	l, help, err := s.functionLoop(c)
	if err != nil || help {
		return err
	}
	if l.module == "" || l.pattern == "" {
		return Failf("!for_each_function: -m:Module and -p:Pattern are needed")
	}
	mods, match := wildcard.Compile(l.module), wildcard.Compile(l.pattern)
	functions := func(yield func([]localAlias, error) bool) {
		for _, m := range s.moduleSet(ctx).All() {
			if !mods.Match(m.Name) {
				continue
			}
			for sym := range s.symbolsOf(ctx, m).All() {
				if !sym.Kind.IsFunction() || !match.Match(sym.Name) {
					continue
				}
				if !yield([]localAlias{
					{"@#FunctionName", sym.Name},
					{"@#SymbolName", m.Name + "!" + sym.Name},
					hexAlias("@#SymbolAddress", m.Base+uint64(sym.RVA)),
					{"@#ModName", m.Name},
				}, nil) {
					return
				}
			}
		}
	}
	if l.commands == "" {
		for locals := range functions {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.printf("%s\n", visible(locals[1].value))
		}
		return nil
	}
	return s.forEach(ctx, l.commands, functions)
}

func runForEachLocal(ctx context.Context, s *Session, c *Call) error {
	text, help := s.loopText(c)
	if help {
		return nil
	}
	variables, err := s.frameLocals(ctx)
	if errors.Is(err, windows.ErrNoModuleSymbols) {
		return Failf("Unable to get the local variables of the frame")
	}
	if err != nil {
		return err
	}
	if text == "" {
		for _, l := range variables {
			s.printf("%s\n", visible(l.Name))
		}
		return nil
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for _, l := range variables {
			if !yield([]localAlias{{"@#Local", l.Name}}, nil) {
				return
			}
		}
	})
}
