package symbols

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultServer is where "srv*" alone looks.
const DefaultServer = "https://msdl.microsoft.com/download/symbols"

// A Path is a symbol or image path: elements divided by semicolons, searched
// in order.
type Path []Element

// An Element is one part of a path.
type Element struct {
	Text string // as typed, without quotes
	Kind ElementKind

	// Stores are the places of the element, the nearest first. A Folder and a
	// Cache have one; a Server has a chain, where a file found in a later place
	// is copied into the earlier ones. A Store "" is the default cache.
	Stores []string
}

// An ElementKind is the sort of an element.
type ElementKind uint8

// The kinds of elements.
const (
	Folder ElementKind = iota
	Server             // srv*…, symsrv*…
	Cache              // cache*…: a store that also keeps what elements to its right find
)

// ParsePath splits a path. Quotes are taken off, empty and
// repeated elements are dropped.
func ParsePath(text string) Path {
	var p Path
	for part := range strings.SplitSeq(text, ";") {
		p = p.Append(part)
	}
	return p
}

// Append adds the elements of text that are not there yet.
func (p Path) Append(text string) Path {
	p = slices.Clip(p)
	for part := range strings.SplitSeq(text, ";") {
		e, ok := parseElement(part)
		if ok && !slices.ContainsFunc(p, func(o Element) bool { return sameElement(o.Text, e.Text) }) {
			p = append(p, e)
		}
	}
	return p
}

// sameElement compares without case where folders have none, and always for
// what is no folder of this system.
func sameElement(a, b string) bool {
	return a == b || strings.EqualFold(a, b) && (filepath.Separator == '\\' || !strings.HasPrefix(a, "/"))
}

func parseElement(text string) (Element, bool) {
	text = strings.TrimSpace(strings.ReplaceAll(text, `"`, ""))
	if text == "" || strings.ContainsRune(text, 0) {
		return Element{}, false
	}
	e := Element{Text: text}
	word, rest, starred := strings.Cut(text, "*")
	switch {
	case starred && strings.EqualFold(word, "srv"):
		e.Kind = Server
		if rest == "" {
			e.Stores = []string{"", DefaultServer}
			return e, true
		}
	case starred && strings.EqualFold(word, "symsrv"):
		// The first word names the DLL that serves: symsrv*symsrv.dll*…
		e.Kind = Server
		if dll, after, ok := strings.Cut(rest, "*"); ok && strings.HasSuffix(strings.ToLower(dll), ".dll") {
			rest = after
		}
	case starred && strings.EqualFold(word, "cache"):
		e.Kind = Cache
		first, _, _ := strings.Cut(rest, "*")
		e.Stores = []string{expandEnv(first)}
		return e, true
	case isURL(text):
		// A bare address is what people paste; only a server can be meant.
		e.Kind = Server
		rest = text
	default:
		e.Stores = []string{expandEnv(text)}
		return e, true
	}
	for store := range strings.SplitSeq(rest, "*") {
		e.Stores = append(e.Stores, expandEnv(strings.TrimSpace(store)))
	}
	// "srv**https://…" names the default cache by nothing; an end without a
	// name means no place.
	for n := len(e.Stores); n > 0 && e.Stores[n-1] == ""; n-- {
		e.Stores = e.Stores[:n-1]
	}
	return e, len(e.Stores) > 0
}

func isURL(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// expandEnv replaces %NAME% by the environment's value. A name that is not set
// stays as it is.
func expandEnv(s string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "%")
		name, after, closed := strings.Cut(rest, "%")
		if !ok || !closed {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(before)
		if v, set := os.LookupEnv(name); set && name != "" {
			out.WriteString(v)
			s = after
		} else {
			out.WriteString("%" + name)
			s = rest[len(name):] // the second % may begin a name
		}
	}
}

// String returns the path as typed.
func (p Path) String() string {
	parts := make([]string, len(p))
	for i, e := range p {
		parts[i] = e.Text
	}
	return strings.Join(parts, ";")
}

// Expanded returns the path as WinDbg's "Expanded Symbol search path" shows
// it: lower case, with "srv*" alone written out.
func (p Path) Expanded() string {
	parts := make([]string, len(p))
	for i, e := range p {
		parts[i] = strings.ToLower(e.Text)
		if parts[i] == "srv*" {
			parts[i] = "cache*;SRV*" + DefaultServer
		}
	}
	return strings.Join(parts, ";")
}

// Absolute makes the folders of a path independent of the current folder.
// Texts stay as typed.
func (p Path) Absolute() Path {
	out := slices.Clone(p)
	for i, e := range out {
		out[i].Stores = slices.Clone(e.Stores)
		for j, s := range out[i].Stores {
			if s == "" || isURL(s) || isForeign(s) {
				continue
			}
			if abs, err := filepath.Abs(s); err == nil {
				out[i].Stores[j] = abs
			}
		}
	}
	return out
}

// A State is what WinDbg's path validation says of an element.
type State string

// The states.
const (
	StateOK       State = "OK"       // the folder exists
	StateError    State = "Error"    // it does not
	StateDeferred State = "Deferred" // looked at when it is used: everything with a star
)

// Validate looks whether the folder of an element exists. The error says why
// not.
func (e Element) Validate() (State, error) {
	if e.Kind != Folder {
		return StateDeferred, nil
	}
	st, err := os.Stat(e.Stores[0])
	switch {
	case err != nil:
		return StateError, err
	case !st.IsDir():
		return StateError, fmt.Errorf("%s is not a folder", e.Stores[0])
	}
	return StateOK, nil
}

// isForeign reports a Windows path on another system: it names nothing here
// and must not be taken for a relative one.
func isForeign(s string) bool {
	if filepath.Separator == '\\' {
		return false
	}
	return strings.HasPrefix(s, `\\`) || len(s) >= 2 && s[1] == ':' && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z'
}

// SymbolPath joins a path that was given with those of the environment:
// _NT_ALT_SYMBOL_PATH, then _NT_SYMBOL_PATH.
func SymbolPath(given string) Path {
	return ParsePath(given).
		Append(os.Getenv("_NT_ALT_SYMBOL_PATH")).
		Append(os.Getenv("_NT_SYMBOL_PATH")).
		Absolute()
}

// ImagePath joins a path that was given with _NT_EXECUTABLE_IMAGE_PATH.
func ImagePath(given string) Path {
	return ParsePath(given).Append(os.Getenv("_NT_EXECUTABLE_IMAGE_PATH")).Absolute()
}

// SourcePath joins a path that was given with _NT_SOURCE_PATH.
func SourcePath(given string) Path {
	return ParsePath(given).Append(os.Getenv("_NT_SOURCE_PATH")).Absolute()
}
