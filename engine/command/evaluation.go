package command

import (
	"context"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/format"
)

func evaluationCommands() []*Command {
	return []*Command{
		{Names: []string{"?"}, Args: "Expression", Short: "evaluate an expression", Run: runEvaluate},
		{Names: []string{"??"}, Args: "Expression", Short: "evaluate a C++ expression with its type", Run: runEvaluateTyped},
		{Names: []string{".formats"}, Args: "Expression", Short: "show a number in all bases, as characters, time and float", Run: runFormats},
		{Names: []string{"n"}, Args: "[8 | 10 | 16]", Short: "show or set the base of numbers", Run: runRadix},
		{Names: []string{".expr"}, Args: "[/s c++|masm] [/q]", Short: "show or choose the default evaluator", Run: runExpr},
	}
}

// newPrinter makes what prints members and elements for ??: the dt command's
// way. Without one, structures show their first line only.
var newPrinter func(ctx context.Context, s *Session) expr.Printer

func runEvaluate(_ context.Context, s *Session, c *Call) error {
	if c.Args.Done() {
		s.printHelp("")
		return nil
	}
	v, err := s.number(c.Args)
	if err != nil {
		return err
	}
	if low := uint32(v); s.addressDigits() == 8 && (v == uint64(low) || v == uint64(int32(low))) {
		s.printf("Evaluate expression: %d = %08x\n", int32(low), low)
		return nil
	}
	s.printf("%s\n", format.Evaluate(v))
	return nil
}

func runEvaluateTyped(ctx context.Context, s *Session, c *Call) error {
	v, err := expr.Cpp(s.env(), c.Args)
	if err != nil {
		return err
	}
	var p expr.Printer
	if newPrinter != nil {
		p = newPrinter(ctx, s)
	}
	s.printf("%s", expr.Print(s.env(), v, p))
	return nil
}

func runFormats(_ context.Context, s *Session, c *Call) error {
	v, err := s.number(c.Args)
	if err != nil {
		return err
	}
	s.printf("%s", expr.Formats(v))
	return nil
}

func runRadix(_ context.Context, s *Session, c *Call) error {
	if !c.Args.Done() {
		n, err := expr.Radix(c.Args)
		if err != nil {
			return err
		}
		s.settings.radix = n
	}
	s.printf("base is %d\n", s.settings.radix)
	return nil
}

const (
	masmEvaluator = "MASM - Microsoft Assembler expressions"
	cppEvaluator  = "C++ - C++ source expressions"
)

func runExpr(_ context.Context, s *Session, c *Call) error {
	a := c.Args
	for !a.Done() && (a.Text[a.Pos] == '/' || a.Text[a.Pos] == '-') {
		a.Pos++
		option := byte(0)
		if !a.Done() {
			option = a.Text[a.Pos]
			a.Pos++
		}
		switch option {
		case 'q':
			s.printf("Available expression evaluators:\n%s\n%s\n\n", masmEvaluator, cppEvaluator)
		case 's':
			if a.Done() {
				return expr.Caret("Non-empty string required", a.Pos)
			}
			name := a.Word()
			switch strings.ToLower(name) {
			case "masm":
				s.settings.cpp = false
			case "c++":
				s.settings.cpp = true
			default:
				s.printf("No evaluator named '%s'\n", name)
			}
		default:
			s.printf("Unknown option '%c'\n", option)
		}
	}
	current := masmEvaluator
	if s.settings.cpp {
		current = cppEvaluator
	}
	s.printf("Current expression evaluator: %s\n", current)
	return nil
}
