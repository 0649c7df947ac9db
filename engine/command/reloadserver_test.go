package command

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// unseen adds a path to a server's address that no run of a test had: what a
// server lacked is remembered by its address, and ports come again.
func unseen(address string) string { return fmt.Sprintf("%s/%d", address, time.Now().UnixNano()) }

// TestReloadAsksInParallel loads every module's symbols from a slow server that
// has none: many requests are under way at a time, so that a hundred modules
// do not wait for each other.
func TestReloadAsksInParallel(t *testing.T) {
	var mu sync.Mutex
	now, most, asked := 0, 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now, asked = now+1, asked+1
		most = max(most, now)
		mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		http.NotFound(w, r)
	}))
	defer server.Close()
	s := labSession(t)
	answer(s, ".sympath srv*"+t.TempDir()+"*"+unseen(server.URL))
	var out strings.Builder
	var notes []string
	_ = s.Execute(t.Context(), ".reload /f", Output{Out: &out, Note: func(n string) { notes = append(notes, n) }})
	got := out.String()
	if asked < 2*60 {
		t.Errorf("only %d requests", asked)
	}
	// The server alone takes longer than a note may be late.
	if !strings.Contains(strings.Join(notes, "\n"), " modules") {
		t.Errorf("nothing tells how far it is: %q", notes)
	}
	if most < fetchers/4 {
		t.Errorf("at most %d of %d requests were under way at a time", most, asked)
	}
	if dots := strings.Count(got, "."); dots < 60 {
		t.Errorf("%d dots for the lab's 63 drivers:\n%s", dots, got)
	}
}

// TestReloadFromDeadServer loads every module's symbols from a server that takes
// connections and says nothing: it is tried once, not once a module.
func TestReloadFromDeadServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var conns atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			c.Close()
		}
	}()
	s := labSession(t)
	answer(s, ".sympath srv*"+t.TempDir()+"*"+unseen("http://"+l.Addr().String()))
	got := answer(s, ".reload /f")
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if dots := strings.Count(got, "."); dots < 60 {
		t.Errorf("%d dots for the lab's 63 drivers:\n%s", dots, got)
	}
}
