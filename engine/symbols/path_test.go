package symbols

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePath(t *testing.T) {
	t.Setenv("KDAP_TEST", "/from/env")
	for _, tt := range []struct {
		text string
		want Path
	}{
		{"", nil},
		{";;", nil},
		{`S:\lab`, Path{{`S:\lab`, Folder, []string{`S:\lab`}}}},
		{`"S:\my lab";`, Path{{`S:\my lab`, Folder, []string{`S:\my lab`}}}},
		{"/a;/b;/a", Path{{"/a", Folder, []string{"/a"}}, {"/b", Folder, []string{"/b"}}}},
		{"srv*", Path{{"srv*", Server, []string{"", DefaultServer}}}},
		{"SRV*/store", Path{{"SRV*/store", Server, []string{"/store"}}}},
		{"srv*/c*https://x/y", Path{{"srv*/c*https://x/y", Server, []string{"/c", "https://x/y"}}}},
		{"srv**https://x", Path{{"srv**https://x", Server, []string{"", "https://x"}}}},
		{"srv**", nil},
		{"symsrv*symsrv.dll*/a*/b", Path{{"symsrv*symsrv.dll*/a*/b", Server, []string{"/a", "/b"}}}},
		{"cache*", Path{{"cache*", Cache, []string{""}}}},
		{"cache*/c;srv*/s", Path{{"cache*/c", Cache, []string{"/c"}}, {"srv*/s", Server, []string{"/s"}}}},
		{"%KDAP_TEST%/s;%NOT_SET_HERE%", Path{
			{"%KDAP_TEST%/s", Folder, []string{"/from/env/s"}},
			{"%NOT_SET_HERE%", Folder, []string{"%NOT_SET_HERE%"}},
		}},
		{"https://x/y", Path{{"https://x/y", Server, []string{"https://x/y"}}}},
		{"a\x00b;/c", Path{{"/c", Folder, []string{"/c"}}}},
	} {
		if diff := cmp.Diff(tt.want, ParsePath(tt.text)); diff != "" {
			t.Errorf("%q:\n%s", tt.text, diff)
		}
	}
}

// The texts come from WinDbg's answers to .sympath.
func TestExpanded(t *testing.T) {
	for _, tt := range []struct{ text, add, str, expanded string }{
		{`S:\lab`, `S:\lab_sub;S:\lab`, `S:\lab;S:\lab_sub`, `s:\lab;s:\lab_sub`},
		{`S:\lab`, `s:\LAB`, `S:\lab`, `s:\lab`},
		{"srv*", "", "srv*", "cache*;SRV*https://msdl.microsoft.com/download/symbols"},
		{`SRV*S:\lab`, "", `SRV*S:\lab`, `srv*s:\lab`},
		{`S:\lab;`, ";", `S:\lab`, `s:\lab`},
	} {
		p := ParsePath(tt.text).Append(tt.add)
		if p.String() != tt.str || p.Expanded() != tt.expanded {
			t.Errorf("%q + %q = %q, %q", tt.text, tt.add, p.String(), p.Expanded())
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("_NT_SYMBOL_PATH", "/nt;/given")
	t.Setenv("_NT_ALT_SYMBOL_PATH", "/alt")
	t.Setenv("_NT_EXECUTABLE_IMAGE_PATH", "rel")
	if got := SymbolPath("/given").String(); got != "/given;/alt;/nt" {
		t.Errorf("symbol path %q", got)
	}
	p := ImagePath("")
	if len(p) != 1 || p[0].Text != "rel" || !filepath.IsAbs(p[0].Stores[0]) {
		t.Errorf("image path %+v", p)
	}
	if got := ParsePath(`S:\lab;\\srv\share`).Absolute(); got[0].Stores[0] != `S:\lab` && filepath.Separator == '/' {
		t.Errorf("a foreign path became %q", got[0].Stores)
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	writeTo(t, nil, dir, "file")
	for text, want := range map[string]State{
		dir: StateOK, dir + "/none": StateError, dir + "/file": StateError, "srv*" + dir: StateDeferred, "cache*": StateDeferred,
	} {
		if got, err := ParsePath(text)[0].Validate(); got != want || (err != nil) != (want == StateError) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func TestFileName(t *testing.T) {
	for path, want := range map[string]string{
		`ntkrnlmp.pdb`:           "ntkrnlmp.pdb",
		`C:\build\x64\a b.pdb`:   "a b.pdb",
		`..\..\..\etc\x.pdb`:     "x.pdb",
		`/home/u/lib.so.pdb`:     "lib.so.pdb",
		`Ünïcode.pdb`:            "Ünïcode.pdb",
		`com10.pdb`:              "com10.pdb",
		``:                       "",
		`..`:                     "",
		`a\..`:                   "",
		`.`:                      "",
		`c:x.pdb`:                "",
		`x.pdb:stream`:           "",
		"a\x00.pdb":              "",
		"a\n.pdb":                "",
		`dir\`:                   "",
		`x.pdb.`:                 "",
		`x.pdb `:                 "",
		`NUL`:                    "",
		`con.pdb`:                "",
		`a\Aux.x.pdb`:            "",
		`LPT1.pdb`:               "",
		`a*.pdb`:                 "",
		strings.Repeat("x", 300): "",
		`|x.pdb`:                 "",
		`CONIN$`:                 "",
	} {
		got, err := FileName(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("FileName(%q) = %q, %v; want %q", path, got, err, want)
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add(`C:\a\b.pdb`)
	f.Add("..\\..")
	f.Fuzz(func(t *testing.T, path string) {
		name, err := FileName(path)
		if err != nil {
			return
		}
		if dir := filepath.Join("/base", name); filepath.Dir(dir) != "/base" || strings.ContainsAny(name, "/\\:\x00") {
			t.Fatalf("%q leads to %q", path, dir)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	f.Add("srv*a*b;cache*;%X%")
	f.Fuzz(func(t *testing.T, text string) {
		p := ParsePath(text)
		if again := ParsePath(p.String()); len(again) != len(p) {
			t.Fatalf("%q has %d elements, read again %d", text, len(p), len(again))
		}
		for _, e := range p {
			if len(e.Stores) == 0 {
				t.Fatalf("%q: element %q without a place", text, e.Text)
			}
		}
	})
}
