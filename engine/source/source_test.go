package source_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"kdap/engine/source"
)

// tree makes files in a new folder.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("one\r\ntwo\n"+f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	dir := tree(t, "src/a/b.c", "src/b.c", "src/Mixed.H", "secret.c", "src/dir.c/x")
	src := filepath.Join(dir, "src")
	f := source.Finder{
		Folders: []source.Folder{{Path: src, Shown: `S:\src`}},
		Map:     []source.Mapping{{From: `D:\build`, To: src}},
	}
	tests := []struct{ name, want string }{
		{`C:\forge\b.c`, `S:\src\b.c`},                     // leading parts are dropped
		{`C:\x\a\b.c`, `S:\src\a\b.c`},                     // the longest rest first
		{`C:\forge\mixed.h`, `S:\src\mixed.h`},             // without case, shown as asked for
		{`S:\src\a\b.c`, `S:\src\a\b.c`},                   // a name below the folder
		{`/home/build/a/b.c`, `S:\src\a\b.c`},              // other systems' names
		{`C:\forge\..\secret.c`, ""},                       // never out of the folder
		{`..\secret.c`, ""},                                //
		{`../secret.c`, ""},                                //
		{`C:\forge\dir.c`, ""},                             // a folder is no file
		{`d:\BUILD\a\b.c`, filepath.Join(src, "a", "b.c")}, // mapped
		{"", ""},
		{`C:\`, ""},
		{"b.c\x00", ""},
	}
	for _, tt := range tests {
		got, err := f.Find(tt.name)
		if tt.want == "" {
			if !errors.Is(err, source.ErrNotFound) {
				t.Errorf("Find(%q) = %q, %v", tt.name, got.Path, err)
			}
			continue
		}
		if err != nil || got.Path != tt.want {
			t.Errorf("Find(%q) = %q, %v; want %q", tt.name, got.Path, err, tt.want)
			continue
		}
		lines, err := got.Lines()
		if err != nil || len(lines) != 3 || lines[0] != "one" || lines[1] != "two" {
			t.Errorf("Find(%q).Lines() = %q, %v", tt.name, lines, err)
		}
	}
}

func TestOpenOwnPath(t *testing.T) {
	dir := tree(t, "x.c")
	f := source.Finder{}
	got, err := f.Open(filepath.Join(dir, "x.c"))
	if err != nil || got.Path != filepath.Join(dir, "x.c") {
		t.Errorf("Open = %+v, %v", got, err)
	}
	if _, err := f.Open(dir); err == nil {
		t.Error("a folder was opened")
	}
}

// The steps are those of WinDbg's .srcnoisy 3 (reference/windbg/lab/source-lines.txt).
func TestTrace(t *testing.T) {
	dir := tree(t, "k.c")
	var got []string
	f := source.Finder{
		Folders: []source.Folder{{Path: dir, Shown: `S:\src`}},
		Trace: func(s source.Step) {
			got = append(got, strings.Trim(s.Name+" "+s.Path, " "))
		},
	}
	if _, err := f.Find(`C:\forge\k.c`); err != nil {
		t.Fatal(err)
	}
	want := []string{`C:\forge\k.c`, `forge\k.c`, `forge\k.c S:\src\forge\k.c`, `k.c`, `k.c S:\src\k.c`}
	if !slices.Equal(got, want) {
		t.Errorf("steps %q, want %q", got, want)
	}
}

// The rules are those of the Source Link documentation (dotnet/designs, source-link.md).
func TestLink(t *testing.T) {
	l, err := source.ParseLink([]byte("\xef\xbb\xbf" + `{"documents": {
		"C:\\src\\*": "https://example.com/any/*",
		"C:\\src\\CodeFormatter\\*": "https://example.com/formatter/main/*",
		"C:\\src\\exact.c": "https://example.com/exact",
		"*.odd": "https://example.com/odd/*",
		"bad*two*": "https://example.com/*"
	}}` + "\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ file, want string }{
		{`C:\src\a b\x#.c`, "https://example.com/any/a%20b/x%23.c"},
		{`c:\SRC\x.c`, "https://example.com/any/x.c"},
		{`C:\src\codeformatter\y.cs`, "https://example.com/formatter/main/y.cs"},
		{`C:\src\exact.c`, "https://example.com/exact"},
		{`D:\z.odd`, "https://example.com/odd/D%3A/z"},
		{`D:\src\x.c`, ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, ok := l.URL(tt.file)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("URL(%q) = %q, %v; want %q", tt.file, got, ok, tt.want)
		}
	}
	if _, err := source.ParseLink([]byte("{")); err == nil {
		t.Error("half a document was read")
	}
}

// serverData follows the sample of the debugger documentation, "Language
// Specification 1", and what version control "http" writes.
const serverData = "SRCSRV: ini ------------------------------------------------\r\n" +
	"VERSION=1\r\nVERCTRL=http\r\n" +
	"SRCSRV: variables ------------------------------------------\r\n" +
	"HTTP_ALIAS=https://example.com/raw\r\n" +
	"HTTP_EXTRACT_TARGET=%HTTP_ALIAS%/%var4%/%var2%\r\n" +
	"SDCMD=sd.exe -p %fnvar%(%var3%) print -o %srcsrvtrg% -q \"%depot%/%var2%\"\r\n" +
	"DEPOT=//depot\r\nWIN_SDKTOOLS=sserver.microsoft.com:4444\r\n" +
	"SRCSRVTRG=%http_extract_target%\r\nSRCSRVCMD=%sdcmd%\r\n" +
	"SRCSRV: source files ---------------------------------------\r\n" +
	"c:\\proj\\src\\file.cpp*tools/mytool/src/file.cpp*WIN_SDKTOOLS*3\r\n" +
	"c:\\proj\\bksl.cpp*a/b*X*4\r\n" +
	"SRCSRV: end ------------------------------------------------\r\n"

func TestServer(t *testing.T) {
	s, err := source.ParseServer([]byte(serverData))
	if err != nil || s.Version != "1" || s.Kind != "http" || s.Files() != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	e, ok := s.Find(`C:\PROJ\src\file.cpp`)
	url, isURL := e.URL()
	if !ok || !isURL || url != "https://example.com/raw/3/tools/mytool/src/file.cpp" {
		t.Errorf("Find = %+v, %v", e, ok)
	}
	want := `sd.exe -p sserver.microsoft.com:4444 print -o https://example.com/raw/3/tools/mytool/src/file.cpp -q "//depot/tools/mytool/src/file.cpp"`
	if e.Command != want {
		t.Errorf("command %q, want %q", e.Command, want)
	}
	if _, ok := s.Find("other.c"); ok {
		t.Error("a file was found that is not there")
	}
	if _, err := source.ParseServer([]byte("no data")); !errors.Is(err, source.ErrNotSourceServer) {
		t.Errorf("err = %v", err)
	}
}

func TestServerFunctions(t *testing.T) {
	s, err := source.ParseServer([]byte("SRCSRV: variables --\nSRCSRVTRG=%targ%\\%fnbksl%(%var2%)\\%fnfile%(%var1%)\n" +
		"SRCSRV: source files --\nc:/d/f.c*a/b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := s.Find("C:/D/F.C"); e.Target != `%targ%\a\b\f.c` {
		t.Errorf("target %q", e.Target)
	}
}

// Variables that name each other, or double at each step, end.
func TestServerBombs(t *testing.T) {
	bomb := "SRCSRV: variables --\nA=%B%\nB=%A%\nSRCSRVTRG=%A%\n"
	for i := range 40 {
		bomb += "V" + string(rune('a'+i%26)) + strings.Repeat("x", i) + "=%" + "z%%z%\n"
	}
	s, err := source.ParseServer([]byte(bomb + "SRCSRV: source files --\nf.c*x\n"))
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := s.Find("f.c"); ok {
		t.Errorf("found %+v", e)
	}
}

// FuzzServer: what is expanded stays bounded, whatever the data says.
func FuzzServer(f *testing.F) {
	f.Add([]byte(serverData), `c:\proj\src\file.cpp`)
	f.Add([]byte("SRCSRV: variables --\nA=%A%%A%\nSRCSRVTRG=%A%\nSRCSRV: source files --\nf*%fnvar%(A)\n"), "f")
	f.Fuzz(func(t *testing.T, b []byte, file string) {
		s, err := source.ParseServer(b)
		if err != nil {
			return
		}
		e, _ := s.Find(file)
		if limit := 1<<17 + len(b); len(e.Target) > limit || len(e.Command) > limit {
			t.Fatalf("%d and %d bytes of %d", len(e.Target), len(e.Command), len(b))
		}
	})
}

// FuzzLink: an address begins as its rule does and holds no wildcard of it.
func FuzzLink(f *testing.F) {
	f.Add(`C:\src\*`, "https://example.com/*", `C:\src\a.c`)
	f.Fuzz(func(t *testing.T, rule, url, file string) {
		b, err := jsonOf(rule, url)
		if err != nil || !utf8.ValidString(url) {
			return
		}
		l, err := source.ParseLink(b)
		if err != nil {
			return
		}
		got, ok := l.URL(file)
		prefix, _, _ := strings.Cut(url, "*")
		if ok && !strings.HasPrefix(got, prefix) {
			t.Fatalf("%q for %q", got, url)
		}
	})
}

// FuzzFind: no name leads out of the folder.
func FuzzFind(f *testing.F) {
	dir := f.TempDir()
	inside := filepath.Join(dir, "in")
	if err := os.MkdirAll(filepath.Join(inside, "d"), 0o755); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"out.c", "in/a.c", "in/d/b.c"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), nil, 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(`C:\x\a.c`)
	f.Add(`..\out.c`)
	f.Add(`d/../../out.c`)
	f.Add(inside + "/../out.c")
	finder := source.Finder{Folders: []source.Folder{{Path: inside, Shown: inside}}}
	f.Fuzz(func(t *testing.T, name string) {
		file, err := finder.Find(name)
		if err != nil {
			return
		}
		if rel, err := filepath.Rel(inside, file.Disk()); err != nil || !filepath.IsLocal(rel) {
			t.Fatalf("%q leads to %s", name, file.Disk())
		}
	})
}
