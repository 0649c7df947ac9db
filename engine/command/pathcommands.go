package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kdap/engine/expr"
	"kdap/engine/symbols"
)

func pathCommands() []*Command {
	return []*Command{
		pathCommand(symbolPath), pathCommand(imagePath), pathCommand(sourcePath),
		cmdSymfix(), cmdSrcfix(), cmdSrcnoisy(),
	}
}

// A searchPath is one of the three paths of a session.
type searchPath struct {
	command string // ".sympath"
	title   string // "Symbol"
	short   string
	get     func(s *Session) symbols.Path
	set     func(s *Session, p symbols.Path)
}

var (
	symbolPath = searchPath{
		".sympath", "Symbol", "show or set where symbols are looked for",
		func(s *Session) symbols.Path { return s.finder().Path },
		func(s *Session, p symbols.Path) { s.changePaths(func(f *symbols.Finder) { f.Path = p }) },
	}
	imagePath = searchPath{
		".exepath", "Executable image", "show or set where image files are looked for",
		func(s *Session) symbols.Path { return s.finder().Images },
		func(s *Session, p symbols.Path) { s.changeImagePath(p) },
	}
	sourcePath = searchPath{
		".srcpath", "Source", "show or set where source files are looked for",
		(*Session).SourcePath,
		func(s *Session, p symbols.Path) { s.symbols.source.Store(&p) },
	}
)

// pathCommand makes the command of a path. The rest of the line is the path,
// semicolons included.
func pathCommand(p searchPath) *Command {
	return &Command{
		Names: []string{p.command, p.command + "+"}, Args: "[Path[;...]]", Short: p.short,
		Run: func(_ context.Context, s *Session, c *Call) error {
			rest := c.Args.Rest()
			if strings.HasPrefix(rest, "-") {
				return expr.Caret("Syntax error", c.Args.Pos+1)
			}
			c.Args.Pos = len(c.Args.Text)
			text := strings.TrimSpace(rest)
			switch {
			case text == "":
			case strings.HasSuffix(c.Name, "+"):
				p.set(s, p.get(s).Append(text).Absolute())
			default:
				p.set(s, symbols.ParsePath(text).Absolute())
			}
			s.printPath(p)
			return nil
		},
	}
}

// printPath shows a path and what looking at its folders gave.
func (s *Session) printPath(p searchPath) {
	path := p.get(s)
	or := func(text string) string {
		if text == "" {
			return "<empty>"
		}
		return text
	}
	title := strings.ToUpper(p.title[:1]) + p.title[1:]
	s.printf("%s search path is: %s\n", title, or(path.String()))
	if p.command != sourcePath.command {
		s.printf("Expanded %s search path is: %s\n", title, or(s.symbols.expanded(path)))
	}
	if len(path) == 0 {
		return
	}
	var table strings.Builder
	for _, e := range path {
		state, err := e.Validate()
		if err != nil {
			s.printf("%s\n", pathError(p.command, e, err))
		}
		// The time is blank below a millisecond, which no look at a folder takes:
		// what a busy computer adds says nothing about the path.
		fmt.Fprintf(&table, "%-33s%-14s%s\n", state, "", e.Text)
	}
	s.printf("\n************* Path validation summary **************\nResponse                         Time (ms)     Location\n%s", table.String())
}

// pathError is what the validation says of an element that is not there, with
// the numbers Windows has for it.
func pathError(command string, e symbols.Element, err error) string {
	if server, ok := strings.CutPrefix(e.Text, `\\`); ok && filepath.Separator != '\\' {
		server, _, _ = strings.Cut(server, `\`)
		return fmt.Sprintf("Error: '%s' did not respond to pings: 0x2af9 - Host not found.", server)
	}
	why := "0x2 - File not found."
	switch _, perr := os.Stat(filepath.Dir(e.Stores[0])); {
	case errors.Is(err, os.ErrPermission):
		why = "0x5 - Access denied."
	case !errors.Is(err, os.ErrNotExist):
		why = "0x10b - The directory name is invalid."
	case perr != nil && strings.ContainsAny(e.Stores[0], `/\`):
		why = "0x3 - Path not found."
	}
	return fmt.Sprintf("Error: Execute %s(+) command attempts to access '%s' failed: %s", command, e.Text, why)
}

// expanded is a path as the debugger shows it with its default store.
func (c *symbolSource) expanded(p symbols.Path) string {
	text := p.Expanded()
	if c.store == "" {
		return text
	}
	return strings.ReplaceAll(text, "cache*;SRV*"+symbols.DefaultServer, "SRV*"+c.store+"*"+symbols.DefaultServer)
}

// defaultServer is the element "srv*" with the store that .symfix named.
func (c *symbolSource) defaultServer() symbols.Path {
	p := symbols.ParsePath("srv*")
	if c.store != "" {
		p[0].Stores = []string{c.store, symbols.DefaultServer}
	}
	return p.Absolute()
}

func cmdSymfix() *Command {
	return &Command{
		Names: []string{".symfix", ".symfix+"}, Args: "[LocalStore]",
		Short: "look for symbols and images on Microsoft's server",
		Run: func(_ context.Context, s *Session, c *Call) error {
			rest, _, _ := strings.Cut(c.Args.Rest(), ";")
			c.Args.Pos += len(rest)
			s.symbols.store = strings.Trim(strings.TrimSpace(rest), `"`)
			server := s.symbols.defaultServer()
			fix := func(old symbols.Path) symbols.Path {
				if !strings.HasSuffix(c.Name, "+") {
					return server
				}
				for i, e := range old {
					if strings.EqualFold(e.Text, "srv*") {
						old = append(symbols.Path(nil), old...)
						old[i] = server[0]
						return old
					}
				}
				return append(append(symbols.Path(nil), old...), server...)
			}
			s.changePaths(func(f *symbols.Finder) { f.Path, f.Images = fix(f.Path), fix(f.Images) })
			return nil
		},
	}
}

func cmdSrcfix() *Command {
	return &Command{
		Names: []string{".srcfix", ".srcfix+"}, Args: "[Path[;...]]",
		Short: "look for source files on the servers that symbol files name",
		Run: func(_ context.Context, s *Session, c *Call) error {
			text := strings.TrimSpace(c.Args.Rest())
			c.Args.Pos = len(c.Args.Text)
			p := symbols.ParsePath("SRV*")
			if strings.HasSuffix(c.Name, "+") {
				p = s.SourcePath()
			}
			p = p.Append(text).Absolute()
			s.symbols.source.Store(&p)
			s.printf("Source search path is: %s\n", p.String())
			return nil
		},
	}
}

func cmdSrcnoisy() *Command {
	return &Command{
		Names: []string{".srcnoisy"}, Args: "[0|1|2|3]", Short: "tell where source files are looked for",
		Run: func(_ context.Context, s *Session, c *Call) error {
			if !c.Args.Done() {
				v, err := s.number(c.Args)
				if err != nil {
					return err
				}
				if v > 3 {
					return Tellf("Invalid !srcnoisy setting %x", v)
				}
				// The filter goes only when server output was asked for before.
				s.symbols.srcAll = v == 3 && s.symbols.srcNoisy&2 != 0
				s.symbols.srcNoisy = int(v)
			}
			n := s.symbols.srcNoisy
			s.printf("Noisy source output: %s\nNoisy source server output: %s\n", onOff(n&1 != 0), onOff(n&2 != 0))
			s.printf("Filter out everything but source server output: %s\n", onOff(!s.symbols.srcAll))
			return nil
		},
	}
}

func onOff(on bool) string { return either(on, "on", "off") }
