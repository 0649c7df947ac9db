package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/symbols"
	"kdap/internal/truth"
)

func TestDoctorOnPaths(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler()) // any answer is one
	defer server.Close()
	dir := t.TempDir()
	for _, c := range []struct{ path, want string }{
		{dir, "ok    symbol path element"},
		{filepath.Join(dir, "nosuch"), "FAIL  symbol path element"},
		{"srv*" + dir + "*" + server.URL, "ok    symbol path element"},
		{"srv*http://127.0.0.1:1/", "FAIL  symbol path element"},
		{"", "note  symbol path: empty"},
	} {
		var out bytes.Buffer
		d := &doctor{out: &out}
		d.path(context.Background(), "symbol path", symbols.ParsePath(c.path), "empty")
		if !strings.HasPrefix(out.String(), c.want) || d.failed != strings.HasPrefix(c.want, "FAIL") {
			t.Errorf("%q: %s", c.path, out.String())
		}
	}
}

func TestStreamHoldsNothingLong(t *testing.T) {
	var w lockedBuffer
	s := newStream(&w)
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); w.String() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the text is still held")
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestShellCompletes checks what the terminal gets: what follows the letters
// that were typed.
func TestShellCompletes(t *testing.T) {
	target, err := engine.Open(context.Background(), truth.Dump(t, "lab19041"), engine.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Skip(err)
	}
	defer target.Close()
	sh := newShell(newSession(target, "x.dmp", "", false))
	rest, n := sh.Do([]rune(".prin"), 5)
	if len(rest) != 1 || string(rest[0]) != "tf" || n != 5 {
		t.Errorf("%q, %d", rest, n)
	}
}
