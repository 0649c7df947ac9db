package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/sourcegraph/jsonrpc2"
)

// MaxMessage bounds one message. Answers are paged to stay far below.
const MaxMessage = 16 << 20

// Bounds of a message's header.
const (
	maxHeaderLine  = 1 << 10
	maxHeaderLines = 16
)

// A FramingError says why a message's header cannot be read. The stream is of
// no use after it: where the next message begins is not known.
type FramingError struct{ Msg string }

func (e *FramingError) Error() string { return "message header: " + e.Msg }

// ReadMessage reads one message: header lines that end with an empty one, then
// as many bytes as Content-Length says. Headers it does not know are skipped.
// io.EOF means that the stream ended between two messages.
func ReadMessage(r *bufio.Reader, limit int) ([]byte, error) {
	length := -1
	for line := 0; ; line++ {
		text, err := readHeaderLine(r)
		switch {
		case err == io.EOF && line == 0 && text == "":
			return nil, io.EOF
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case line == maxHeaderLines:
			return nil, &FramingError{fmt.Sprintf("more than %d lines", maxHeaderLines)}
		}
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil, &FramingError{fmt.Sprintf("%.40q is no header", text)}
		}
		if !strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
		if err != nil {
			return nil, &FramingError{fmt.Sprintf("Content-Length is %.40q", value)}
		}
		if int(n) > limit {
			return nil, &FramingError{fmt.Sprintf("a message of %d bytes, at most %d are taken", n, limit)}
		}
		length = int(n)
	}
	if length < 0 {
		return nil, &FramingError{"no Content-Length"}
	}
	return readBody(r, length)
}

// readBody reads n bytes; what it allocates grows with what came.
func readBody(r io.Reader, n int) ([]byte, error) {
	const chunk = 64 << 10
	var b []byte
	for len(b) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-have, max(chunk, have)))...)
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return b, nil
}

func readHeaderLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) <= maxHeaderLine {
		c, err := r.ReadByte()
		if err != nil {
			return string(line), err
		}
		if c == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, c)
	}
	return "", &FramingError{fmt.Sprintf("a line of more than %d bytes", maxHeaderLine)}
}

// AppendMessage appends a message with its header to b.
func AppendMessage(b, body []byte) []byte {
	b = fmt.Appendf(b, "Content-Length: %d\r\n\r\n", len(body))
	return append(b, body...)
}

// stream frames JSON-RPC messages. A body that is not JSON is answered with an
// error and skipped: the frame tells where the next message begins.
type stream struct {
	r      *bufio.Reader
	closer io.Closer

	mu  sync.Mutex // of w and buf
	w   io.Writer
	buf []byte
}

var _ jsonrpc2.ObjectStream = (*stream)(nil)

// NewStream returns the message stream over a connection.
func NewStream(rw io.ReadWriteCloser) jsonrpc2.ObjectStream {
	return &stream{r: bufio.NewReaderSize(rw, 64<<10), w: rw, closer: rw}
}

func (s *stream) ReadObject(v any) error {
	for {
		b, err := ReadMessage(s.r, MaxMessage)
		if err != nil {
			return err
		}
		if err = json.Unmarshal(b, v); err == nil {
			return nil
		}
		// The library's reader gives up at an error, so it does not see this one.
		refusal := map[string]any{
			"jsonrpc": "2.0", "id": nil,
			"error": map[string]any{"code": jsonrpc2.CodeParseError, "message": fmt.Sprintf("not a JSON-RPC message: %v", err)},
		}
		if err := s.WriteObject(refusal); err != nil {
			return err
		}
	}
}

// errTooLong is what a sender of too long a message gets; nothing was sent.
var errTooLong = errors.New("message is too long")

func (s *stream) WriteObject(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > MaxMessage {
		return errTooLong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = AppendMessage(s.buf[:0], body)
	_, err = s.w.Write(s.buf)
	if cap(s.buf) > 1<<20 {
		s.buf = nil
	}
	return err
}

func (s *stream) Close() error { return s.closer.Close() }
