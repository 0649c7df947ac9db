package symbols

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A fakeServer is a symbol server with faults. Files are by path; hook may
// answer in its place.
type fakeServer struct {
	*httptest.Server
	files map[string][]byte
	hook  func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	asked []string
}

func newServer(t testing.TB, files map[string][]byte) *fakeServer {
	s := &fakeServer{files: files}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	s.mu.Unlock()
	if s.hook != nil && s.hook(w, r) {
		return
	}
	b, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"v1"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

const kernelPath = "/ntkrnlmp.pdb/" + kernelKey + "/"

func kernelBytes(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(kernelPDB(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func packedKernel(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sharedDir(t), "compressed-lzx", "ntkrnlmp.pdb", kernelKey, "ntkrnlmp.pd_"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func serverFinder(t testing.TB, s *fakeServer) (*Finder, string) {
	dir := t.TempDir()
	return &Finder{
		Path:     ParsePath("srv*" + s.URL),
		CacheDir: dir,
		Timeouts: Timeouts{Connect: 2 * time.Second, Answer: 2 * time.Second, Stall: 300 * time.Millisecond},
	}, dir
}

// filesBelow lists the files of a tree, but for the memory of what is missing.
func filesBelow(dir string) (list []string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "/missing/") {
			list = append(list, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	return list
}

func TestServer(t *testing.T) {
	whole := kernelBytes(t)
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		path  string // $ is the server, # the test's folder
		want  string // "" for nothing
		why   string // part of the report
	}{
		{name: "plain", files: map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole}, want: "symbols"},
		{name: "compressed", files: map[string][]byte{kernelPath + "ntkrnlmp.pd_": packedKernel(t)}, want: "symbols"},
		{name: "two tiers", files: map[string][]byte{"/index2.txt": nil, "/nt" + kernelPath + "ntkrnlmp.pdb": whole}, want: "symbols"},
		{name: "chain", files: map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole}, path: "srv*#/near*$", want: "near"},
		{name: "cache in front", files: map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole}, path: "cache*#/c;srv*$", want: "c"},
		{name: "pointer", files: map[string][]byte{kernelPath + "file.ptr": []byte("PATH:/other/k.pdb"), "/other/k.pdb": whole}, want: "symbols"},
		{name: "missing", why: "not found in 1 of 1 stores"},
		{name: "lying", files: map[string][]byte{kernelPath + "ntkrnlmp.pdb": []byte("<html>log in</html>")}, why: "not what was asked for"},
		{name: "another build", files: map[string][]byte{kernelPath + "ntkrnlmp.pdb": cmdBytes(t)}, why: "mismatched"},
		{name: "broken cabinet", files: map[string][]byte{kernelPath + "ntkrnlmp.pd_": packedKernel(t)[:100000]}, why: "damaged"},
		{name: "pointer to a file", files: map[string][]byte{kernelPath + "file.ptr": []byte("PATH:file:///etc/passwd")}, why: "not on this server"},
		{name: "pointer elsewhere", files: map[string][]byte{kernelPath + "file.ptr": []byte("PATH:http://example.invalid/k.pdb")}, why: "not on this server"},
		{name: "message", files: map[string][]byte{kernelPath + "file.ptr": []byte("MSG: withdrawn")}, why: "withdrawn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tt.files)
			f, dir := serverFinder(t, s)
			if tt.path != "" {
				f.Path = ParsePath(strings.NewReplacer("$", s.URL, "#", dir).Replace(tt.path))
			}
			found, r := find(t, f, kernelWant(t))
			if tt.want == "" {
				if found.File != "" || !strings.Contains(r.String(), tt.why) {
					t.Errorf("found %q: %s", found.File, r)
				}
				if left := filesBelow(dir); len(left) != 0 {
					t.Errorf("files stay: %v", left)
				}
				return
			}
			want := filepath.Join(dir, tt.want, "ntkrnlmp.pdb", kernelKey, "ntkrnlmp.pdb")
			if found.File != want {
				t.Fatalf("found %q, want %q: %s", found.File, want, r)
			}
			if left := filesBelow(dir); len(left) != 1 {
				t.Errorf("files: %v", left)
			}
			n := s.count()
			if found, _ = find(t, f, kernelWant(t)); found.File != want || s.count() != n {
				t.Errorf("the second time: %q, %d requests", found.File, s.count()-n)
			}
		})
	}
}

func cmdBytes(t testing.TB) []byte {
	b, err := os.ReadFile(anyPDB(t, "cmd.pdb"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMissingIsRemembered: a 404 is asked for once a day, or when it is wanted.
func TestMissingIsRemembered(t *testing.T) {
	s := newServer(t, nil)
	f, dir := serverFinder(t, s)
	find(t, f, kernelWant(t))
	n := s.count()
	again := &Finder{Path: f.Path, CacheDir: dir}
	if _, r := find(t, again, kernelWant(t)); s.count() != n || !strings.Contains(fmt.Sprint(r.Tries), "remembered") {
		t.Errorf("%d more requests, %+v", s.count()-n, r.Tries)
	}
	fresh := &Finder{Path: f.Path, CacheDir: dir, Fresh: true}
	if find(t, fresh, kernelWant(t)); s.count() == n {
		t.Error("Fresh does not ask")
	}
	old := time.Now().Add(-2 * missingFor)
	for _, path := range mustGlob(t, filepath.Join(dir, "missing", "*")) {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	n = s.count()
	if find(t, again, kernelWant(t)); s.count() == n {
		t.Error("an old memory is believed")
	}
}

func mustGlob(t testing.TB, pattern string) []string {
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: %v %v", pattern, list, err)
	}
	return list
}

// TestResume: a connection that breaks is taken up where it broke, in the same
// run and in the next.
func TestResume(t *testing.T) {
	whole := kernelBytes(t)
	var broken atomic.Int32
	var ranges sync.Map
	s := newServer(t, map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole})
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != kernelPath+"ntkrnlmp.pdb" {
			return false
		}
		ranges.Store(r.Header.Get("Range"), true)
		if broken.Add(-1) < 0 {
			return false
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		if r.Header.Get("Range") != "" { // go on, and break again
			var from int
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(whole)-1, len(whole)))
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)-from))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(whole[from : from+300_000])
		} else {
			_, _ = w.Write(whole[:300_000])
		}
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	f, dir := serverFinder(t, s)
	broken.Store(attempts) // all of the first run
	if found, r := find(t, f, kernelWant(t)); found.File != "" || !strings.Contains(r.String(), "broke off after 900000 bytes") {
		t.Fatalf("found %q: %s", found.File, r)
	}
	broken.Store(1)
	f = &Finder{Path: f.Path, CacheDir: dir}
	found, r := find(t, f, kernelWant(t))
	if found.File == "" {
		t.Fatalf("not resumed: %s", r)
	}
	for _, want := range []string{"", "bytes=300000-", "bytes=600000-", "bytes=900000-", "bytes=1200000-"} {
		if _, ok := ranges.Load(want); !ok {
			t.Errorf("range %q was not asked for", want)
		}
	}
	if left := filesBelow(dir); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
	if b, _ := os.ReadFile(found.File); !bytes.Equal(b, whole) {
		t.Error("the file differs")
	}
}

// TestChangedWhileResuming: when the server has another version by now, the
// download starts anew.
func TestChangedWhileResuming(t *testing.T) {
	whole := kernelBytes(t)
	s := newServer(t, map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole})
	f, dir := serverFinder(t, s)
	part := append([]byte("old bytes"), `"v0"`...)
	part = append(part, 4, 0)
	writeTo(t, append(part, resumeMark...), dir, "symbols", "ntkrnlmp.pdb", kernelKey, resumeName+"ntkrnlmp.pdb")
	found, r := find(t, f, kernelWant(t))
	if b, _ := os.ReadFile(found.File); !bytes.Equal(b, whole) {
		t.Errorf("%d bytes: %s", len(b), r)
	}
}

func TestStall(t *testing.T) {
	s := newServer(t, nil)
	stop := make(chan struct{})
	defer close(stop)
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = w.Write([]byte("a beginning"))
		w.(http.Flusher).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
		return true
	}
	f, _ := serverFinder(t, s)
	if found, r := find(t, f, kernelWant(t)); found.File != "" || !strings.Contains(r.String(), "no byte for") {
		t.Errorf("found %q: %s", found.File, r)
	}
}

func TestRedirects(t *testing.T) {
	whole := kernelBytes(t)
	store := newServer(t, map[string][]byte{"/blob": whole})
	s := newServer(t, nil)
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "ntkrnlmp.pdb") {
			http.Redirect(w, r, store.URL+"/blob", http.StatusFound)
			return true
		}
		return false
	}
	f, _ := serverFinder(t, s)
	if found, r := find(t, f, kernelWant(t)); found.File == "" {
		t.Errorf("not followed: %s", r)
	}
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		return true
	}
	f, _ = serverFinder(t, s)
	if found, r := find(t, f, kernelWant(t)); found.File != "" || !strings.Contains(r.String(), "redirects") {
		t.Errorf("a circle: %q, %s", found.File, r)
	}
}

// TestDeadServer: many modules at once cost one timeout.
func TestDeadServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
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
			defer c.Close()
		}
	}()
	f := &Finder{
		Path: ParsePath("srv*http://" + l.Addr().String()), CacheDir: t.TempDir(),
		Timeouts: Timeouts{Answer: 200 * time.Millisecond},
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			w := kernelWant(t)
			w.Age = uint32(i + 1)
			_, r, _ := f.Find(context.Background(), w)
			if !strings.Contains(r.String(), "no answer in time") {
				t.Errorf("%s", r)
			}
		})
	}
	wg.Wait()
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections to a dead server", n)
	}
}

func TestFailingServer(t *testing.T) {
	s := newServer(t, nil)
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "no", http.StatusServiceUnavailable)
		return true
	}
	f, dir := serverFinder(t, s)
	_, r := find(t, f, kernelWant(t))
	if !strings.Contains(r.String(), "503") {
		t.Errorf("report %s", r)
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "missing", "*")); len(list) != 0 {
		t.Error("a failure is remembered as missing")
	}
	n := s.count()
	if _, r = find(t, f, kernelWant(t)); s.count() != n || !strings.Contains(r.String(), "failed before") {
		t.Errorf("%d more requests: %s", s.count()-n, r)
	}
}

// TestParallel: 60 modules from a server with latency load in parallel.
func TestParallel(t *testing.T) {
	s := newServer(t, nil)
	var now, most atomic.Int32
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
		return false
	}
	f, _ := serverFinder(t, s)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			w := kernelWant(t)
			w.Age = uint32(i + 1)
			_, _, _ = f.Find(context.Background(), w)
		})
	}
	wg.Wait()
	if m := most.Load(); m < 2 || m > maxPerServer {
		t.Errorf("%d requests at once, want 2 to %d", m, maxPerServer)
	}
}

func TestCancelAndProgress(t *testing.T) {
	whole := kernelBytes(t)
	s := newServer(t, map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole})
	f, dir := serverFinder(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	var last Progress
	f.Progress = func(p Progress) {
		last = p
		cancel()
	}
	if _, _, err := f.Find(ctx, kernelWant(t)); err != context.Canceled {
		t.Errorf("error %v", err)
	}
	if last.Total != int64(len(whole)) || last.Done == 0 || !strings.HasSuffix(last.URL, "ntkrnlmp.pdb") {
		t.Errorf("progress %+v", last)
	}
	for _, file := range filesBelow(dir) {
		if !strings.Contains(file, resumeName) {
			t.Errorf("%s stays", file)
		}
	}
}

func TestOffline(t *testing.T) {
	s := newServer(t, nil)
	f, _ := serverFinder(t, s)
	f.Offline = true
	if _, r := find(t, f, kernelWant(t)); s.count() != 0 || !strings.Contains(r.String(), "not asked") {
		t.Errorf("%d requests: %s", s.count(), r)
	}
}
