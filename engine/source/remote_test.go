package source_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kdap/engine/dumptest"
	"kdap/engine/pdb"
	"kdap/engine/source"
	"kdap/engine/symbols"
)

// quill is the source file that quillpress.pdb names, with its checksum.
const quill = `src\quillpress.c`

func testdata(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "testdata"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// indexed returns quillpress.pdb with a stream.
func indexed(t testing.TB, stream, text string) *pdb.File {
	t.Helper()
	b, err := dumptest.AddStream(testdata(t, "images", "quillpress.pdb"), stream, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdb.New(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func linked(t testing.TB, url string) *pdb.File {
	return indexed(t, "sourcelink", `{"documents": {"src\\*": "`+url+`/*"}}`)
}

// A sourceServer counts what it is asked.
type sourceServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
}

func serve(t testing.TB, pages map[string]http.HandlerFunc) *sourceServer {
	s := &sourceServer{asked: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		s.mu.Unlock()
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s with %q", r.Method, r.URL, r.Header)
		}
		if page, ok := pages[r.URL.Path]; ok {
			page(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sourceServer) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func text(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
}

func TestFetch(t *testing.T) {
	code := testdata(t, "src", "quillpress.c")
	crlf := bytes.ReplaceAll(code, []byte("\n"), []byte("\r\n"))
	s := serve(t, map[string]http.HandlerFunc{
		"/good/quillpress.c":  text(code),
		"/dos/quillpress.c":   text(crlf),
		"/other/quillpress.c": text(append(code[:len(code):len(code)], ' ')),
		"/moved/quillpress.c": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/good/quillpress.c", http.StatusFound)
		},
		"/circle/quillpress.c": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/circle/quillpress.c", http.StatusFound)
		},
		"/file/quillpress.c": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/hostname")
			w.WriteHeader(http.StatusFound)
		},
		"/login/quillpress.c": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<html>who are you?"))
		},
		"/huge/quillpress.c": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000000000000") },
	})
	tests := []struct {
		at   string
		want error // nil: the file
		says string
	}{
		{"good", nil, ""},
		{"dos", nil, ""}, // as compiled, with the line ends of another system
		{"moved", nil, ""},
		{"other", source.ErrOther, "MD5"},
		{"login", source.ErrOther, "password"},
		{"none", nil, "404"},
		{"circle", nil, "redirects"},
		{"file", nil, "redirected to file"},
		{"huge", source.ErrRefused, "1000000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.at, func(t *testing.T) {
			cache := t.TempDir()
			r := source.NewRemote(cache, symbols.Timeouts{})
			f := linked(t, s.URL+"/"+tt.at)
			file, err := r.Fetch(t.Context(), f, quill, "")
			if tt.says == "" && tt.want == nil {
				got, rerr := os.ReadFile(file.Disk())
				if err != nil || rerr != nil || !bytes.Equal(got, code) {
					t.Fatalf("%v, %v: %.100q", err, rerr, got)
				}
				if rel, err := filepath.Rel(cache, file.Disk()); err != nil || !filepath.IsLocal(rel) {
					t.Errorf("kept at %s", file.Disk())
				}
				return
			}
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if err := filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					t.Errorf("%s was left in the cache", path)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
			// The answer is remembered: the next frame of the file costs nothing.
			before := s.count("/" + tt.at + "/quillpress.c")
			if _, err := r.Fetch(t.Context(), f, quill, ""); err == nil || s.count("/"+tt.at+"/quillpress.c") != before {
				t.Errorf("asked again: %v", err)
			}
		})
	}
}

// TestFetchOnce: what is in the cache needs no server, and is what was checked.
func TestFetchOnce(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/x/quillpress.c": text(testdata(t, "src", "quillpress.c"))})
	r := source.NewRemote(t.TempDir(), symbols.Timeouts{})
	f := linked(t, s.URL+"/x")
	var file source.File
	fetch := func(asked int) {
		t.Helper()
		var err error
		if file, err = r.Fetch(t.Context(), f, quill, ""); err != nil || s.count("/x/quillpress.c") != asked {
			t.Errorf("%v, asked %d times", err, s.count("/x/quillpress.c"))
		}
	}
	fetch(1)
	fetch(1)
	if err := os.WriteFile(file.Disk(), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	fetch(2)
	s.Close()
	fetch(2)
	own := t.TempDir()
	if _, err := r.Fetch(t.Context(), f, quill, own); err == nil {
		t.Error("another cache has the file without a server")
	}
}

// TestFetchCancelled: a request ends with its context, and a server that was
// given up is not held for dead.
func TestFetchCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, map[string]http.HandlerFunc{
		"/slow/quillpress.c": func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		},
		"/fast/quillpress.c": text(testdata(t, "src", "quillpress.c")),
	})
	r := source.NewRemote(t.TempDir(), symbols.Timeouts{})
	if _, err := r.Fetch(ctx, linked(t, s.URL+"/slow"), quill, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := r.Fetch(t.Context(), linked(t, s.URL+"/fast"), quill, ""); err != nil {
		t.Error(err)
	}
}

// TestFetchServerData: Source Server data gives addresses; what it wants run,
// and places that are no addresses, are refused with the reason.
func TestFetchServerData(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/7/quillpress.c": text(testdata(t, "src", "quillpress.c"))})
	data := func(variables string) string {
		return "SRCSRV: ini ---\r\nVERSION=2\r\nSRCSRV: variables ---\r\n" + variables +
			"SRCSRV: source files ---\r\n" + quill + "*7*quillpress.c\r\nSRCSRV: end ---\r\n"
	}
	r := source.NewRemote(t.TempDir(), symbols.Timeouts{})
	tests := []struct{ variables, says string }{
		{"SRCSRVVERCTRL=http\r\nSRCSRVTRG=" + s.URL + "/%var2%/%var3%\r\n", ""},
		{"SRCSRVTRG=%targ%\\%fnfile%(%var1%)\r\nSRCSRVCMD=git.exe show %var2%:%var3% > %srcsrvtrg%\r\n", "want a program run"},
		{"SRCSRVTRG=\\\\server\\share\\%var3%\r\n", "no HTTP address"},
		{"SRCSRVTRG=file:///etc/%var3%\r\n", "no HTTP address"},
		{"SRCSRVTRG=http://user:secret@127.0.0.1/%var3%\r\n", "not the address of a file"},
		{"SRCSRVTRG=http:///%var3%\r\n", "not the address of a file"},
		{"SRCSRVTRG=http://127.0.0.1:99999999/\r\n", "127.0.0.1"},
		{"SRCSRVTRG=http://127.0.0.1/" + strings.Repeat("a", 5000) + "\r\n", "characters"},
	}
	for _, tt := range tests {
		_, err := r.Fetch(t.Context(), indexed(t, "srcsrv", data(tt.variables)), quill, "")
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%q: %v, want %q", tt.variables, err, tt.says)
		}
	}
	// Rules of Source Link fit any name: only files of the program are asked for.
	everything := indexed(t, "sourcelink", `{"documents": {"*": "`+s.URL+`/7/*"}}`)
	if _, err := r.Fetch(t.Context(), everything, `C:\secret.c`, ""); !errors.Is(err, source.ErrRefused) || s.count("/7/C:/secret.c") != 0 {
		t.Errorf("a file that the symbols do not name: %v", err)
	}
	if _, err := r.Fetch(t.Context(), indexed(t, "other", ""), quill, ""); !errors.Is(err, source.ErrNoOrigin) {
		t.Errorf("without data: %v", err)
	}
}
