package session

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A sourceMap finds the files here that symbols name by the paths of the
// machine they were built on.
type sourceMap struct {
	from []mapping // the longest first

	mu    sync.Mutex
	known map[string]string // path in the symbols → path here, "" for none
}

type mapping struct{ from, to string }

func newSourceMap(m map[string]string) *sourceMap {
	s := &sourceMap{known: map[string]string{}}
	for from, to := range m {
		s.from = append(s.from, mapping{strings.TrimRight(slashed(from), "/"), to})
	}
	slices.SortFunc(s.from, func(a, b mapping) int {
		return cmp.Or(len(b.from)-len(a.from), strings.Compare(a.from, b.from))
	})
	return s
}

// slashed makes paths of both systems comparable.
func slashed(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// maxKnown bounds what is remembered of files.
const maxKnown = 1 << 16

// find returns the file here, when it exists.
func (s *sourceMap) find(path string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here, ok := s.known[path]
	if !ok {
		here = s.look(path)
		if len(s.known) < maxKnown {
			s.known[path] = here
		}
	}
	return here, here != ""
}

func (s *sourceMap) look(path string) string {
	p := slashed(path)
	for _, m := range s.from {
		if len(p) <= len(m.from) || !strings.EqualFold(p[:len(m.from)], m.from) || p[len(m.from)] != '/' {
			continue
		}
		// A path in a PDB is anybody's text: it does not lead out of the folder it is mapped to.
		rest := filepath.FromSlash(strings.TrimLeft(p[len(m.from):], "/"))
		if !filepath.IsLocal(rest) {
			continue
		}
		if here := filepath.Join(m.to, rest); isFile(here) {
			return here
		}
	}
	if filepath.IsAbs(path) && isFile(path) {
		return path // built on this machine
	}
	return ""
}

func isFile(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}

func baseName(p string) string {
	p = slashed(p)
	return p[strings.LastIndexByte(p, '/')+1:]
}
