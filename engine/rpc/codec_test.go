package rpc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestReadMessage(t *testing.T) {
	tests := []struct {
		name, in, want, err string
	}{
		{"plain", "Content-Length: 2\r\n\r\n{}", "{}", ""},
		{"letter case, blanks, other headers", "content-type: x\r\nCONTENT-LENGTH :  2 \r\n\r\n{}", "{}", ""},
		{"bare line feeds", "Content-Length: 2\n\n{}", "{}", ""},
		{"empty body", "Content-Length: 0\r\n\r\n", "", ""},
		{"the last length counts", "Content-Length: 9\r\nContent-Length: 2\r\n\r\n{}", "{}", ""},
		{"end between messages", "", "", "EOF"},
		{"end in a header", "Content-Le", "", "unexpected EOF"},
		{"end behind the headers", "Content-Length: 2\r\n\r\n", "", "unexpected EOF"},
		{"end in the body", "Content-Length: 3\r\n\r\n{}", "", "unexpected EOF"},
		{"no length", "Content-Type: x\r\n\r\n{}", "", "message header: no Content-Length"},
		{"no header", "GET / HTTP/1.1\r\n\r\n", "", `message header: "GET / HTTP/1.1" is no header`},
		{"negative", "Content-Length: -1\r\n\r\n", "", `message header: Content-Length is " -1"`},
		{"too long", "Content-Length: 1000\r\n\r\n", "", "message header: a message of 1000 bytes, at most 100 are taken"},
		{"overflow", "Content-Length: 18446744073709551616\r\n\r\n", "", `message header: Content-Length is " 18446744073709551616"`},
		{"long line", "X: " + strings.Repeat("x", 2000), "", "message header: a line of more than 1024 bytes"},
		{"many lines", strings.Repeat("X: y\r\n", 40), "", "message header: more than 16 lines"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := ReadMessage(bufio.NewReader(strings.NewReader(tt.in)), 100)
			if got := errText(err); string(b) != tt.want || got != tt.err {
				t.Errorf("%q, %q; want %q, %q", b, got, tt.want, tt.err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzReadMessage: whatever comes, reading ends, takes no more than the limit,
// and fails only in the ways that are documented; what AppendMessage wrote
// comes back.
func FuzzReadMessage(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}Content-Length: 3\r\n\r\n[1]"))
	f.Add([]byte("Content-Type: a\nContent-Length: 0\n\n"))
	f.Add([]byte("Content-Length: 99\r\n\r\n"))
	f.Add([]byte("\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 12
		r := bufio.NewReader(bytes.NewReader(in))
		for n := 0; ; n++ {
			b, err := ReadMessage(r, limit)
			var framing *FramingError
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.As(err, &framing) {
					t.Fatalf("error of another kind: %v", err)
				}
				break
			}
			if len(b) > limit || n > len(in) {
				t.Fatalf("message %d has %d bytes", n, len(b))
			}
		}
		if len(in) > limit {
			return
		}
		back, err := ReadMessage(bufio.NewReader(bytes.NewReader(AppendMessage(nil, in))), limit)
		if err != nil || !bytes.Equal(back, in) {
			t.Fatalf("%q came back as %q, %v", in, back, err)
		}
	})
}

// TestBadBodies: a body that is no message is answered, and the next is read.
func TestBadBodies(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	go NewEngine("test").Serve(t.Context(), there, io.Discard)
	r := bufio.NewReader(here)
	for _, body := range []string{"{", "[]", `"text"`, `{"jsonrpc":"2.0"}`, `{"jsonrpc":"2.0","id":{},"method":"ping"}`} {
		go func() { _, _ = here.Write(AppendMessage(nil, []byte(body))) }()
		b, err := ReadMessage(r, MaxMessage)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var m struct{ Error struct{ Code int } }
		if err := json.Unmarshal(b, &m); err != nil || m.Error.Code == 0 {
			t.Errorf("%s was answered by %s", body, b)
		}
	}
	go func() { _, _ = here.Write(AppendMessage(nil, []byte(`{"jsonrpc":"2.0","id":7,"method":"ping"}`))) }()
	b, err := ReadMessage(r, MaxMessage)
	if err != nil || !strings.Contains(string(b), `"id":7`) || strings.Contains(string(b), "error") {
		t.Errorf("ping was answered by %s, %v", b, err)
	}
}
