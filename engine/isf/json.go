package isf

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values, which in real tables is below ten.
const maxDepth = 100

// A scanner walks JSON text by callbacks, without building values: the tables
// are large and read once. After the first failure every call returns at once,
// so callers check err at the end.
type scanner struct {
	b     []byte
	off   int
	depth int
	err   error // a *FormatError
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = &FormatError{Record: "ISF", Msg: fmt.Sprintf(format, args...), Off: int64(s.off)}
	}
}

// peek skips blanks and returns the next byte, 0 at the end or after an error.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	for s.off < len(s.b) {
		switch c := s.b[s.off]; c {
		case ' ', '\t', '\r', '\n':
			s.off++
		default:
			return c
		}
	}
	return 0
}

// accept takes the byte c if it comes next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.off++
	return true
}

func (s *scanner) expect(c byte) {
	if s.err == nil && !s.accept(c) {
		s.fail("%q missing", c)
	}
}

// object calls member for each key; member must consume the value.
func (s *scanner) object(member func(key string)) {
	s.list('{', '}', func() {
		key := s.str()
		s.expect(':')
		if s.err == nil {
			member(key)
		}
	})
}

func (s *scanner) list(opening, closing byte, element func()) {
	if s.depth++; s.depth > maxDepth {
		s.fail("nested deeper than %d", maxDepth)
	}
	s.expect(opening)
	if !s.accept(closing) {
		for s.err == nil {
			element()
			if !s.accept(',') {
				s.expect(closing)
				break
			}
		}
	}
	s.depth--
}

// str reads a string.
func (s *scanner) str() string {
	if s.expect('"'); s.err != nil {
		return ""
	}
	start, plain := s.off, true
	for ; s.off < len(s.b); s.off++ {
		switch c := s.b[s.off]; {
		case c == '"':
			raw := s.b[start:s.off]
			s.off++
			if plain {
				return string(raw)
			}
			var text string
			if err := json.Unmarshal(s.b[start-1:s.off], &text); err != nil {
				s.fail("bad string: %v", err)
			}
			return text
		case c == '\\':
			plain = false
			s.off++
		case c >= utf8.RuneSelf:
			plain = false // Unmarshal replaces what is not UTF-8
		}
	}
	s.fail("string without end")
	return ""
}

// integer reads a whole number; one above the range of int64 keeps its bits.
func (s *scanner) integer() int64 {
	s.peek()
	start := s.off
	for s.off < len(s.b) && (s.b[s.off] == '-' || s.b[s.off] == '+' || '0' <= s.b[s.off] && s.b[s.off] <= '9') {
		s.off++
	}
	text := string(s.b[start:s.off])
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return v
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.fail("whole number expected")
	}
	return int64(v)
}

// unsigned reads a whole number from 0 to limit.
func (s *scanner) unsigned(limit uint64) uint64 {
	v := uint64(s.integer())
	if v > limit {
		s.fail("%d is above %d", v, limit)
		return 0
	}
	return v
}

// boolean reads true or false.
func (s *scanner) boolean() bool {
	switch s.peek() {
	case 't':
		s.word("true")
		return true
	default:
		s.word("false")
		return false
	}
}

func (s *scanner) word(w string) {
	if s.err != nil {
		return
	}
	if len(s.b)-s.off < len(w) || string(s.b[s.off:s.off+len(w)]) != w {
		s.fail("%s expected", w)
		return
	}
	s.off += len(w)
}

// skip passes over one value of any kind.
func (s *scanner) skip() {
	switch c := s.peek(); {
	case s.err != nil:
	case c == '{':
		s.object(func(string) { s.skip() })
	case c == '[':
		s.list('[', ']', s.skip)
	case c == '"':
		s.str()
	case c == 't' || c == 'f':
		s.boolean()
	case c == 'n':
		s.word("null")
	case c == '-' || '0' <= c && c <= '9':
		for s.off < len(s.b) && strings.IndexByte("0123456789-+.eE", s.b[s.off]) >= 0 {
			s.off++
		}
	default:
		s.fail("value expected")
	}
}
