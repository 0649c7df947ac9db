package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	answer(s, ".sympath srv*"+t.TempDir()+"*"+server.URL)
	got := answer(s, ".reload /f")
	if most < fetchers/4 {
		t.Errorf("at most %d of %d requests were under way at a time", most, asked)
	}
	if dots := strings.Count(got, "."); dots < 60 {
		t.Errorf("%d dots for the lab's 63 drivers:\n%s", dots, got)
	}
}
