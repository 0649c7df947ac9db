package cab

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// mszip unpacks deflate blocks, each behind the letters CK; matches reach back
// into the block before.
type mszip struct {
	r    io.ReadCloser
	last []byte
}

func (m *mszip) block(src []byte, n int) ([]byte, error) {
	if len(src) < 2 || src[0] != 'C' || src[1] != 'K' {
		return nil, errors.New("MSZIP signature missing")
	}
	in := bytes.NewReader(src[2:])
	if m.r == nil {
		m.r = flate.NewReader(in)
	} else if err := m.r.(flate.Resetter).Reset(in, m.last); err != nil {
		return nil, err
	}
	out := make([]byte, n+1) // one more shows a block that is too long
	got, err := io.ReadFull(m.r, out)
	if got != n || err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("MSZIP block unpacks to %d bytes, not %d: %w", got, n, err)
	}
	// The window is the last 32 KB, whatever the blocks' sizes.
	m.last = append(m.last, out[:n]...)
	m.last = m.last[max(0, len(m.last)-maxBlock):]
	return out[:n], nil
}
