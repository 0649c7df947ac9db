package command

import (
	"bytes"
	"io"
)

// An indenter puts a prefix in front of every line written through it.
type indenter struct {
	w      io.Writer
	prefix []byte
	inLine bool
}

func (i *indenter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if !i.inLine && p[0] != '\n' {
			if _, err := i.w.Write(i.prefix); err != nil {
				return 0, err
			}
		}
		line := p
		if at := bytes.IndexByte(p, '\n'); at >= 0 {
			line = p[:at+1]
		}
		if _, err := i.w.Write(line); err != nil {
			return 0, err
		}
		i.inLine = line[len(line)-1] != '\n'
		p = p[len(line):]
	}
	return n, nil
}

// indented runs f with its output moved to the right by n blanks.
func (s *Session) indented(n int, f func() error) error {
	out := s.out
	s.out = &indenter{w: out, prefix: bytes.Repeat([]byte{' '}, n)}
	defer func() { s.out = out }()
	return f()
}
