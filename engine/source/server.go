package source

import (
	"errors"
	"strings"
)

// A Server is the Source Server data of a symbol file: how each source file is
// fetched. The form is that of the debugger documentation's "Language
// Specification 1" of Source Server.
type Server struct {
	Version string // "1", "2", "3"
	Kind    string // VERCTRL: the version control system, "http"

	variables map[string]string   // names in lower case
	files     map[string][]string // the fields of a line by the first, in lower case
}

// An Extraction is how a file is fetched.
type Extraction struct {
	Target  string // the path or, of version control "http", the address
	Command string // the command that makes the target; nothing runs it
}

// URL returns the target when it is an address.
func (e Extraction) URL() (string, bool) {
	l := strings.ToLower(e.Target)
	return e.Target, strings.HasPrefix(l, "http://") || strings.HasPrefix(l, "https://")
}

// ErrNotSourceServer says that data has not the form.
var ErrNotSourceServer = errors.New("no Source Server data")

const (
	maxServer = 64 << 20 // bytes
	maxFields = 32
)

// ParseServer reads a "srcsrv" stream.
func ParseServer(b []byte) (*Server, error) {
	if len(b) > maxServer {
		return nil, ErrNotSourceServer
	}
	s := &Server{variables: map[string]string{}, files: map[string][]string{}}
	section, seen := "", false
	for line := range strings.SplitSeq(string(trimBOM(b)), "\n") {
		line = strings.TrimRight(line, "\r")
		if name, ok := strings.CutPrefix(line, "SRCSRV: "); ok {
			section, _, _ = strings.Cut(name, " -")
			section = strings.ToLower(strings.TrimSpace(section))
			seen = true
			continue
		}
		switch section {
		case "ini", "variables":
			name, value, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			name = strings.ToLower(strings.TrimSpace(name))
			switch {
			case section == "ini" && name == "version":
				s.Version = value
			case section == "ini" && name == "verctrl":
				s.Kind = value
			}
			s.variables[name] = value
		case "source files":
			fields := strings.SplitN(line, "*", maxFields)
			if len(fields) > 1 && fields[0] != "" {
				s.files[strings.ToLower(fields[0])] = fields
			}
		}
	}
	if !seen {
		return nil, ErrNotSourceServer
	}
	return s, nil
}

// Files returns how many files the data tells of.
func (s *Server) Files() int { return len(s.files) }

// Find returns how a file is fetched.
func (s *Server) Find(file string) (Extraction, bool) {
	fields, ok := s.files[strings.ToLower(file)]
	if !ok {
		return Extraction{}, false
	}
	x := expansion{s: s, fields: fields}
	e := Extraction{Target: x.variable("srcsrvtrg", 0), Command: x.variable("srcsrvcmd", 0)}
	return e, !x.failed && e.Target != ""
}

// An expansion replaces variables for one file. It is bounded: variables may
// name each other in a circle, or double what they hold at each step.
type expansion struct {
	s      *Server
	fields []string
	steps  int
	failed bool
}

const (
	maxDepth    = 16
	maxSteps    = 1000
	maxExpanded = 1 << 16
)

// variable returns the text of a variable with all others in it replaced.
func (x *expansion) variable(name string, depth int) string {
	if x.steps++; x.steps > maxSteps || depth > maxDepth {
		x.failed = true
		return ""
	}
	if n, ok := strings.CutPrefix(name, "var"); ok && len(n) > 0 && len(n) < 3 {
		i := 0
		for _, c := range n {
			if c < '0' || c > '9' {
				i = 0
				break
			}
			i = i*10 + int(c-'0')
		}
		if i >= 1 && i <= len(x.fields) {
			return x.fields[i-1]
		}
	}
	return x.expand(x.s.variables[name], depth+1)
}

// expand replaces %name% and the functions %fnvar%(), %fnbksl%() and
// %fnfile%() in text.
func (x *expansion) expand(text string, depth int) string {
	var b strings.Builder
	for text != "" && !x.failed {
		before, rest, ok := strings.Cut(text, "%")
		b.WriteString(before)
		name, behind, closed := strings.Cut(rest, "%")
		if !ok || !closed {
			if ok {
				b.WriteString("%" + rest)
			}
			break
		}
		text = behind
		name = strings.ToLower(name)
		switch name {
		case "fnvar", "fnbksl", "fnfile":
			arg, after, ok := argument(text)
			if !ok {
				break
			}
			text = after
			arg = x.expand(arg, depth+1)
			switch name {
			case "fnvar":
				arg = x.variable(strings.ToLower(arg), depth+1)
			case "fnbksl":
				arg = strings.ReplaceAll(arg, "/", `\`)
			case "fnfile":
				arg = arg[strings.LastIndexAny(arg, `\/`)+1:]
			}
			b.WriteString(arg)
		case "targ", "srcsrv":
			b.WriteString("%" + name + "%") // the debugger's own folders
		default:
			b.WriteString(x.variable(name, depth+1))
		}
		if b.Len() > maxExpanded {
			x.failed = true
		}
	}
	return b.String()
}

// argument takes the text in parentheses at the start of text.
func argument(text string) (arg, rest string, ok bool) {
	if text == "" || text[0] != '(' {
		return "", text, false
	}
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return text[1:i], text[i+1:], true
			}
		}
	}
	return "", text, false
}
