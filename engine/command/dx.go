package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/model"
	"kdap/engine/windows"
)

func modelCommands() []*Command {
	return []*Command{
		{
			Names: []string{"dx"}, Args: "[-r[N]] [-c N] [-g|-gc N] [-v] [-h] [-n] [-u] [-s] [Expression[,Format]]",
			Short: "show objects of the data model", Run: runDx,
		},
		{Names: []string{"dtx"}, Args: "[-r[N]] Type Address", Short: "show a type at an address as dx does", Run: runDtx},
	}
}

// modelState is what a session's data model keeps.
type modelState struct {
	host     *modelHost
	vars     []userVariable
	settings model.Settings
	maxText  uint64

	// process and thread are what SwitchTo chose. They last until the session's
	// own process or thread changes: from tells what those were.
	process *windows.Process
	thread  *windows.Thread
	from    [2]uint64
}

// A userVariable is @$name.
type userVariable struct {
	name  string
	value model.Value
}

// dxOptions are the options of one command.
type dxOptions struct {
	model.Options
	native, raw, silent, report, usage bool
	target                             string // of -id
}

// runDx never fails the line: what follows is run.
func runDx(ctx context.Context, s *Session, c *Call) error {
	text := dxText(c.Args)
	o, rest := parseDxOptions(text)
	if o.usage {
		s.printf("%s", dxUsage)
		return nil
	}
	if o.target != "" && o.target != "0" && o.target != "0,0" {
		s.printf("Error 0x80070057: Specified target and/or process are no longer available.\n")
		s.interp.failed = true
		return nil
	}
	shown := rest
	if text == "" {
		rest, shown = "@$debuggerRootNamespace", "@$debuggerRootNamespace"
		o.Depth = 2
	}
	return s.dx(ctx, shown, rest, o)
}

// dx evaluates and shows an expression.
func (s *Session) dx(ctx context.Context, name, text string, o dxOptions) error {
	s.useScope()
	m := model.NewMachine(s.modelHost(), o.native)
	v, spec, err := m.Evaluate(ctx, text)
	switch {
	case err != nil:
	case o.report:
		err = model.Errorf("Report display requires a report displayable object!")
	case o.silent:
	default:
		o.Options.Raw = o.raw
		err = m.Show(ctx, s.out, name, v, spec, o.Options)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	line, ok := model.ErrorText(err)
	if !ok {
		return err
	}
	s.printf("%s\n", line)
	s.noteReadError(err)
	s.interp.failed = true
	return nil
}

// noteReadError tells why memory could not be read.
func (s *Session) noteReadError(err error) {
	var r *model.ReadError
	if errors.As(err, &r) && r.Err != nil {
		s.notef("%v", r.Err)
	}
}

// dxText takes the text up to a semicolon outside of quotes.
func dxText(c *expr.Cursor) string {
	rest := c.Rest()
	quoted := false
	end := len(rest)
	for i := 0; i < len(rest) && end == len(rest); i++ {
		switch {
		case rest[i] == '\\' && quoted:
			i++
		case rest[i] == '"':
			quoted = !quoted
		case rest[i] == ';' && !quoted:
			end = i
		}
	}
	if quoted { // quotes that do not close hold nothing together
		if i := strings.IndexByte(rest, ';'); i >= 0 {
			end = i
		}
	}
	c.Pos += end
	return strings.TrimSpace(rest[:end])
}

// parseDxOptions takes the options off the front of a text. What is no option
// begins the expression.
func parseDxOptions(text string) (o dxOptions, rest string) {
	o.Options = model.NewOptions()
	for strings.HasPrefix(text, "-") {
		word, after, _ := strings.Cut(text, " ")
		after = strings.TrimSpace(after)
		argument, behind, _ := strings.Cut(after, " ")
		number := func() (int, bool) {
			n, err := strconv.ParseUint(argument, 10, 31)
			return int(n), err == nil
		}
		switch word {
		case "-r", "-c", "-gc":
			n, ok := number()
			if !ok {
				return o, text
			}
			switch word {
			case "-r":
				o.Depth = n
			case "-c":
				o.Skip = n
			default:
				o.Grid, o.GridWidth = true, n
			}
			after = strings.TrimSpace(behind)
		case "-u":
			o.Unlimited = true
		case "-g":
			o.Grid = true
		case "-v":
			o.Verbose = true
		case "-h":
			o.Help = true
		case "-n":
			o.native, o.raw = true, true
		case "-ne":
			o.native = true
		case "-nv":
			o.raw = true
		case "-s":
			o.silent = true
		case "-rv":
			o.report = true
		case "-e", "-std":
		case "-id":
			if argument == "" {
				return o, text
			}
			o.target, after = argument, strings.TrimSpace(behind)
		case "-?":
			o.usage = true
			return o, ""
		default:
			n, err := strconv.ParseUint(strings.TrimPrefix(word, "-r"), 10, 31)
			if !strings.HasPrefix(word, "-r") || err != nil {
				return o, text
			}
			o.Depth = int(n)
		}
		text = after
	}
	return o, text
}

const dxUsage = `dx [options] [Expression[,Format]]
  -r[N]    levels to show, 1 without it
  -c N     pass over N elements of a container
  -u       no limit on elements
  -g       a grid; -gc N with cells of at most N characters
  -v       methods and hidden members too
  -h       help texts of the members
  -n       C++ only and no views; -ne, -nv one of both
  -s       evaluate, show nothing
`

// runDtx is dx of a type at an address. What it cannot read goes to dt.
func runDtx(ctx context.Context, s *Session, c *Call) error {
	text := dxText(c.Args)
	o := dxOptions{Options: model.NewOptions()}
	o.Depth = 1
	words := text
	for strings.HasPrefix(words, "-") {
		word, after, _ := strings.Cut(words, " ")
		digits, ok := strings.CutPrefix(word, "-r")
		n, err := strconv.ParseUint(digits, 10, 16)
		switch {
		case ok && digits == "":
			o.Depth = 1
		case ok && err == nil:
			o.Depth = int(n) + 1
		case word == "-h", word == "-a":
		default:
			return s.revertToDt(ctx, text, dtxUnsupported)
		}
		words = strings.TrimSpace(after)
	}
	typ, address, _ := strings.Cut(words, " ")
	address = strings.TrimSpace(address)
	va, ok := s.dtxAddress(address)
	switch {
	case !ok:
		return s.revertToDt(ctx, text, dtxUnsupported)
	case model.Basic(typ) != nil:
		return s.revertToDt(ctx, text, dtxUnable)
	}
	e := fmt.Sprintf("(*((%s *)0x%x))", typ, va)
	return s.dx(ctx, e, e, o)
}

const (
	dtxUnsupported = "dtx is unsupported for this scenario.  It only recognizes dtx [<type>] [<address>] with -a, -h, and -r.  Reverting to dt."
	dtxUnable      = "dtx is unable to understand the given arguments.  Reverting to dt."
)

// dtxAddress reads an address: a hexadecimal number, a register or a C++
// expression in @@c++().
func (s *Session) dtxAddress(text string) (uint64, bool) {
	if text == "" || strings.Contains(text, " ") && text[0] != '@' {
		return 0, false
	}
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
	if v, err := strconv.ParseUint(strings.ReplaceAll(digits, "`", ""), 16, 64); err == nil {
		return v, true
	}
	if text[0] != '@' {
		return 0, false
	}
	c := expr.NewCursor(text)
	v, err := expr.Masm(s.env(), c)
	return v, err == nil && c.Done()
}

// revertToDt says why and runs dt with the same arguments.
func (s *Session) revertToDt(ctx context.Context, arguments, why string) error {
	s.printf("%s\n", why)
	return s.runText(ctx, "dt "+arguments, 0)
}
