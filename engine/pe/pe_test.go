package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine/memory"
	"kdap/internal/truth"
)

// images returns the paths of the shared image files.
func images(t testing.TB) []string {
	var out []string
	dir := filepath.Join(truth.Dir(t), "symbols")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".exe", ".dll", ".sys":
			if err == nil && d.Type().IsRegular() {
				out = append(out, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Skip("no images in ", dir)
	}
	return out
}

func readobj(t *testing.T, args ...string) string {
	t.Helper()
	for _, name := range []string{"llvm-readobj-16", "llvm-readobj"} {
		if path, err := exec.LookPath(name); err == nil {
			out, err := exec.Command(path, args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
	}
	t.Skip("llvm-readobj is not installed (package llvm-16)")
	return ""
}

// field returns the values of a label in readobj's text, in order.
func fields(text, label string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^ *`+label+`: (.*)$`).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func open(t testing.TB, path string) *Image {
	im, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// TestHeadersAgainstLLVM compares headers, sections, debug directory, exports and
// imports with what LLVM's reader says.
func TestHeadersAgainstLLVM(t *testing.T) {
	for _, path := range images(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			im := open(t, path)
			check := func(what, text, label string, want ...string) {
				t.Helper()
				if diff := cmp.Diff(fields(text, label), want); diff != "" {
					t.Errorf("%s %s (-llvm +kdap):\n%s", what, label, diff)
				}
			}
			hex := func(v any) string { return strings.ReplaceAll(fmt.Sprintf("%#X", v), "0X", "0x") }

			text := readobj(t, "--file-headers", path)
			check("header", text, "SizeOfImage", fmt.Sprint(im.SizeOfImage))
			check("header", text, "CheckSum", hex(im.CheckSum))
			check("header", text, "AddressOfEntryPoint", hex(im.AddressOfEntryPoint))
			check("header", text, "ImageBase", hex(im.ImageBase))
			check("header", text, "SizeOfHeapCommit", fmt.Sprint(im.SizeOfHeapCommit))
			check("header", text, "MinorSubsystemVersion", fmt.Sprint(im.MinorSubsystemVersion))
			for i, name := range []string{"Export", "Import", "Resource", "Exception", "Certificate", "BaseRelocation"} {
				check("directory", text, name+"TableRVA", hex(im.Directory(i).RVA))
				check("directory", text, name+"TableSize", hex(im.Directory(i).Size))
			}
			if stamp := fields(text, "TimeDateStamp")[0]; !strings.HasSuffix(stamp, fmt.Sprintf("(%s)", hex(im.TimeDateStamp))) {
				t.Errorf("TimeDateStamp %#x, llvm %s", im.TimeDateStamp, stamp)
			}

			var names, sizes, ptrs []string
			for _, s := range im.Sections {
				raw := append([]byte(s.Name), make([]byte, 8-len(s.Name))...)
				names = append(names, fmt.Sprintf("%s (% X)", s.Name, raw))
				sizes = append(sizes, hex(s.VirtualSize))
				ptrs = append(ptrs, hex(s.PointerToRawData))
			}
			text = readobj(t, "--sections", path)
			check("section", text, "Name", names...)
			check("section", text, "VirtualSize", sizes...)
			check("section", text, "PointerToRawData", ptrs...)

			text = readobj(t, "--coff-debug-directory", path)
			entries, _ := im.DebugDirectory()
			var types, datas []string
			for _, e := range entries {
				types = append(types, fmt.Sprintf("(%s)", hex(e.Type)))
				datas = append(datas, hex(e.AddressOfRawData))
			}
			got := fields(text, "Type")
			for i, s := range got {
				got[i] = s[strings.LastIndex(s, "("):]
			}
			if diff := cmp.Diff(got, types); diff != "" {
				t.Errorf("debug types:\n%s", diff)
			}
			check("debug", text, "AddressOfRawData", datas...)
			if cv, err := im.CodeView(); err == nil {
				check("debug", text, "PDBFileName", cv.Name)
				check("debug", text, "PDBAge", fmt.Sprint(cv.Age))
				check("debug", text, "PDBGUID", fmt.Sprintf("(% X)", cv.GUID[:]))
			} else if strings.Contains(text, "PDBFileName") {
				t.Error(err)
			}

			text = readobj(t, "--coff-exports", path)
			exports, err := im.Exports()
			if err != nil && !errors.Is(err, ErrNoDirectory) {
				t.Error(err)
			}
			if exports != nil {
				for i, name := range fields(text, "Name") {
					e, ok := exports.Lookup(name)
					if ord := fields(text, "Ordinal")[i]; !ok || fmt.Sprint(e.Ordinal) != ord {
						t.Errorf("export %s: %+v, llvm ordinal %s", name, e, ord)
					}
				}
				if n := len(fields(text, "Ordinal")); n != len(exports.Exports) {
					t.Errorf("%d exports, llvm %d", len(exports.Exports), n)
				}
			} else if strings.Contains(text, "Ordinal") {
				t.Error("no exports read")
			}

			text = readobj(t, "--coff-imports", path)
			imports, err := im.Imports()
			if err != nil && !errors.Is(err, ErrNoDirectory) {
				t.Error(err)
			}
			var dlls, symbols []string
			for _, m := range imports {
				dlls = append(dlls, m.DLL)
				for _, e := range m.Entries {
					symbols = append(symbols, fmt.Sprintf("%s (%d)", e.Name, e.Ordinal))
				}
			}
			check("import", text, "Name", dlls...)
			check("import", text, "Symbol", symbols...)
		})
	}
}

// mapImage lays a file out as the loader does.
func mapImage(t testing.TB, path string, base uint64) (*pages, *Image) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	flat := make([]byte, file.SizeOfImage)
	copy(flat, b[:file.SizeOfHeaders])
	for _, s := range file.Sections {
		copy(flat[s.VirtualAddress:], b[s.PointerToRawData:][:min(s.SizeOfRawData, uint32(len(flat))-s.VirtualAddress)])
	}
	return &pages{base: base, b: flat, missing: map[uint64]bool{}}, file
}

// pages is a memory.Space with holes.
type pages struct {
	base    uint64
	b       []byte
	missing map[uint64]bool // page numbers within b
}

func (s *pages) Read(va uint64, p []byte) (int, error) {
	for i := range p {
		off := va + uint64(i) - s.base
		if off >= uint64(len(s.b)) || s.missing[off/memory.PageSize] {
			return i, &memory.ReadError{Addr: va + uint64(i), Kind: memory.PageFile}
		}
		p[i] = s.b[off]
	}
	return len(p), nil
}

func TestMappedLikeFile(t *testing.T) {
	for _, path := range images(t) {
		space, file := mapImage(t, path, 0xfffff80000400000)
		im, err := FromMemory(space, space.base)
		if err != nil {
			t.Fatal(path, err)
		}
		if diff := cmp.Diff(file.Header, im.Header); diff != "" {
			t.Errorf("%s: header differs:\n%s", path, diff)
		}
		want, _ := file.Exports()
		got, _ := im.Exports()
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(ExportTable{})); diff != "" {
			t.Errorf("%s: exports differ:\n%s", path, diff)
		}
		wantCV, _ := file.CodeView()
		gotCV, _ := im.CodeView()
		if wantCV != gotCV {
			t.Errorf("%s: %v, in memory %v", path, wantCV, gotCV)
		}
		a, b := make([]byte, file.SizeOfImage-0x1000), make([]byte, file.SizeOfImage-0x1000)
		if n, err := im.ReadRVA(0x1000, a); err != nil {
			t.Error(path, n, err)
		}
		if n, err := file.ReadRVA(0x1000, b); err != nil {
			t.Error(path, n, err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: content differs", path)
		}
	}
}

// A missing page shows as its reason, whatever is asked for.
func TestMissingPages(t *testing.T) {
	path := filepath.Join(truth.Dir(t), "symbols", "samples", "seh-x64", "xframe_eh_dll.dll")
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	space, file := mapImage(t, path, 0x10000)
	space.missing[uint64(file.Directory(DirExport).RVA/memory.PageSize)] = true
	im, err := FromMemory(space, space.base)
	if err != nil {
		t.Fatal(err)
	}
	_, err = im.Exports()
	var re *memory.ReadError
	if !errors.As(err, &re) || re.Kind != memory.PageFile {
		t.Errorf("exports on a missing page: %v", err)
	}
	space.missing[0] = true
	if _, err = FromMemory(space, space.base); !errors.As(err, &re) {
		t.Errorf("missing header: %v", err)
	}
}

func TestGUID(t *testing.T) {
	cv, err := ParseCodeView([]byte("RSDS\xf8\xaf\x78\x52\x6c\x34\x77\x16\xd7\xd7\x83\x5c\x85\xb7\xb8\x44\x01\x00\x00\x00a.pdb\x00"))
	if err != nil || cv.GUID.String() != "5278AFF8346C1677D7D7835C85B7B844" || cv.Age != 1 || cv.Name != "a.pdb" {
		t.Errorf("%v %s: %v", cv, cv.GUID, err)
	}
	if s := cv.GUID.Dashed(); s != "5278AFF8-346C-1677-D7D7-835C85B7B844" {
		t.Error(s)
	}
	for _, bad := range []string{"", "RSDS", "NB10abcd", "ABCD0123456789012345678901234567", "RSDS567890123456789012345678no end"} {
		if cv, err := ParseCodeView([]byte(bad)); err == nil {
			t.Errorf("%q: %v without an error", bad, cv)
		}
	}
}

func TestNotImages(t *testing.T) {
	lfanew := make([]byte, 4096)
	copy(lfanew, "MZ")
	binary.LittleEndian.PutUint32(lfanew[60:], 0xfffffff0)
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("this is not an image"), "zeros": make([]byte, 4096), "lfanew": lfanew,
		"short": append([]byte("MZ"), make([]byte, 62)...),
	} {
		if _, err := FromBytes(b); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestVersionResource(t *testing.T) {
	got, err := parseVersion(versionResource(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := &Version{
		Fixed: true, File: [4]uint16{10, 0, 19041, 1288}, Product: [4]uint16{10, 0, 19041, 1288},
		FlagsMask: 0x3f, OS: 0x40004, Type: 2, Translations: []uint32{0x04b00409},
		Strings: []VersionString{{"040904b0", "CompanyName", "Kdap"}, {"040904b0", "FileVersion", "1.0"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.String("FileVersion") != "1.0" || got.String("none") != "" {
		t.Error("String")
	}
}

// versionResource builds a VS_VERSIONINFO the way resource compilers do.
func versionResource() []byte {
	block := func(key string, text bool, value []byte, children ...[]byte) []byte {
		b := make([]byte, 6)
		for _, c := range key + "\x00" {
			b = binary.LittleEndian.AppendUint16(b, uint16(c))
		}
		pad := func() {
			for len(b)%4 != 0 {
				b = append(b, 0)
			}
		}
		pad()
		b = append(b, value...)
		for _, c := range children {
			pad()
			b = append(b, c...)
		}
		n := len(value)
		if text {
			n /= 2
			b[4] = 1
		}
		binary.LittleEndian.PutUint16(b, uint16(len(b)))
		binary.LittleEndian.PutUint16(b[2:], uint16(n))
		return b
	}
	wide := func(s string) (b []byte) {
		for _, c := range s + "\x00" {
			b = binary.LittleEndian.AppendUint16(b, uint16(c))
		}
		return b
	}
	var fixed []byte
	for _, v := range []uint32{0xfeef04bd, 0x10000, 10 << 16, 19041<<16 | 1288, 10 << 16, 19041<<16 | 1288, 0x3f, 0, 0x40004, 2, 0, 0, 0} {
		fixed = binary.LittleEndian.AppendUint32(fixed, v)
	}
	return block("VS_VERSION_INFO", false, fixed,
		block("StringFileInfo", true, nil, block("040904b0", true, nil,
			block("CompanyName", true, wide("Kdap")), block("FileVersion", true, wide("1.0")))),
		block("VarFileInfo", true, nil, block("Translation", false, []byte{9, 4, 0xb0, 4})))
}
