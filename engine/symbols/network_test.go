package symbols

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"kdap/engine/pe"
)

// proxyChild makes the test binary look for the kernel's PDB on a server that
// only the proxy of its environment can reach; the value is the cache folder.
const proxyChild = "KDAP_TEST_PROXY_CHILD"

// TestProxy: requests go to the proxy that the environment names, but for the
// hosts that it leaves out. The environment is read once in a process, so a
// process of its own looks.
func TestProxy(t *testing.T) {
	if dir := os.Getenv(proxyChild); dir != "" {
		f := &Finder{Path: ParsePath("srv*http://symbols.example.invalid/store;srv*" + os.Getenv("KDAP_TEST_DIRECT")), CacheDir: dir}
		found, r := find(t, f, kernelWant(t))
		fmt.Printf("found %s\n%s\n", found.File, r)
		return
	}
	var asked sync.Map
	direct := newServer(t, nil)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String(), true)
		if strings.HasSuffix(r.URL.Path, "/ntkrnlmp.pdb") {
			_, _ = w.Write(kernelBytes(t))
			return
		}
		http.NotFound(w, r)
	}))
	defer proxy.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(more ...string) string {
		cmd := exec.Command(self, "-test.run=^TestProxy$", "-test.v")
		cmd.Env = append(os.Environ(), proxyChild+"="+dir, "KDAP_TEST_DIRECT="+direct.URL, "NO_PROXY=", "no_proxy=")
		cmd.Env = append(cmd.Env, more...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := run("HTTP_PROXY=http://symbols.example.invalid:1", "NO_PROXY=symbols.example.invalid"); strings.Contains(out, "found "+dir) {
		t.Errorf("found without a proxy:\n%s", out)
	}
	if direct.count() == 0 {
		t.Error("the server of this machine was not asked directly")
	}
	if err := os.RemoveAll(filepath.Join(dir, "missing")); err != nil {
		t.Fatal(err)
	}
	if out := run("HTTP_PROXY=" + proxy.URL); !strings.Contains(out, "found "+dir) {
		t.Errorf("not found through the proxy:\n%s", out)
	}
	if _, ok := asked.Load("http://symbols.example.invalid/store" + kernelPath + "ntkrnlmp.pdb"); !ok {
		t.Error("the proxy was not asked for the file")
	}
}

// TestUnsafeRedirects: a server may send us on to another one, but not from an
// encrypted connection to an open one, nor to anything but the web.
func TestUnsafeRedirects(t *testing.T) {
	open := newServer(t, map[string][]byte{"/k": kernelBytes(t)})
	to := open.URL + "/k"
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer secure.Close()
	plain := newServer(t, nil)
	plain.hook = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
		return true
	}
	for url, why := range map[string]string{secure.URL: "redirected from https to http", plain.URL: "redirected to file"} {
		f := &Finder{Path: ParsePath("srv*" + url), CacheDir: t.TempDir()}
		srv, err := f.server(url)
		if err != nil {
			t.Fatal(err)
		}
		srv.client.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
		if found, r := find(t, f, kernelWant(t)); found.File != "" || !strings.Contains(r.String(), why) {
			t.Errorf("found %q: %s, want %q", found.File, r, why)
		}
	}
	if open.count() != 0 {
		t.Error("the open server was asked")
	}
}

// TestBadCertificate: a server that nobody vouches for is not used.
func TestBadCertificate(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	f := &Finder{Path: ParsePath("srv*" + s.URL), CacheDir: t.TempDir()}
	if found, r := find(t, f, kernelWant(t)); found.File != "" || !strings.Contains(r.String(), "certificate") || asked.Load() != 0 {
		t.Errorf("found %q after %d requests: %s", found.File, asked.Load(), r)
	}
}

// TestHugeAnswer: what is larger than any symbol file is not begun.
func TestHugeAnswer(t *testing.T) {
	s := newServer(t, nil)
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "ntkrnlmp.pdb") {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(int64(maxUnpacked)+1))
		w.WriteHeader(http.StatusOK)
		return true
	}
	f, dir := serverFinder(t, s)
	if found, r := find(t, f, kernelWant(t)); found.File != "" || !strings.Contains(r.String(), "promises") {
		t.Errorf("found %q: %s", found.File, r)
	}
	if left := filesBelow(dir); len(left) != 0 {
		t.Errorf("files stay: %v", left)
	}
}

// TestOneCacheForMany: what many finders download into one cache at a time is
// whole, and no half file is ever under its name.
func TestOneCacheForMany(t *testing.T) {
	whole := kernelBytes(t)
	s := newServer(t, map[string][]byte{kernelPath + "ntkrnlmp.pdb": whole})
	var breaks atomic.Int32
	breaks.Store(3)
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "ntkrnlmp.pdb") || breaks.Add(-1) < 0 {
			return false
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		_, _ = w.Write(whole[:100_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			f := &Finder{Path: ParsePath("srv*" + s.URL), CacheDir: dir}
			found, r, err := f.Find(context.Background(), kernelWant(t))
			if err != nil {
				t.Errorf("%v: %s", err, r)
				return
			}
			defer found.PDB.Close()
			if b, err := os.ReadFile(found.File); err != nil || !bytes.Equal(b, whole) {
				t.Errorf("%s: %d bytes, %v", found.File, len(b), err)
			}
		})
	}
	all.Wait()
	for _, file := range filesBelow(dir) {
		if filepath.Base(file) != "ntkrnlmp.pdb" && !strings.HasPrefix(filepath.Base(file), resumeName) {
			t.Errorf("%s stays", file)
		}
	}
}

// TestImageFromServer: image files are looked for on servers too, by time stamp
// and size, and kept when they are what was asked for.
func TestImageFromServer(t *testing.T) {
	found, _ := filepath.Glob(filepath.Join(sharedDir(t), "ntdll.dll", "*", "ntdll.dll"))
	if len(found) == 0 {
		t.Skip("no ntdll.dll in the reference symbols")
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	im, err := pe.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	w := WantImage{Name: "ntdll.dll", Stamp: im.TimeDateStamp, Size: im.SizeOfImage}
	key := fmt.Sprintf("%08X%x", w.Stamp, w.Size)
	s := newServer(t, map[string][]byte{
		"/ntdll.dll/" + key + "/ntdll.dll":                            data,
		fmt.Sprintf("/ntdll.dll/%08X%x/ntdll.dll", w.Stamp+1, w.Size): data, // not what it says
	})
	dir := t.TempDir()
	f := &Finder{Images: ParsePath("srv*" + s.URL), CacheDir: dir}
	got, path, r, err := f.FindImage(context.Background(), w)
	if err != nil || !strings.HasPrefix(path, dir) || got.TimeDateStamp != w.Stamp {
		t.Fatalf("found %q, %v: %s", path, err, r)
	}
	got.Close()
	n := s.count()
	if got, again, _, err := f.FindImage(context.Background(), w); err != nil || again != path || s.count() != n {
		t.Errorf("the second time: %q, %v, %d requests", again, err, s.count()-n)
	} else {
		got.Close()
	}
	w.Stamp++
	if _, path, r, err := f.FindImage(context.Background(), w); err == nil || !strings.Contains(r.String(), "not what was asked for") {
		t.Errorf("another image was taken: %q, %v, %s", path, err, r)
	}
}

// TestSourcePath: the environment's folder comes after the one that was given.
func TestSourcePath(t *testing.T) {
	t.Setenv("_NT_SOURCE_PATH", "/env")
	if got := SourcePath("/given").String(); got != "/given;/env" {
		t.Errorf("source path %q", got)
	}
}
