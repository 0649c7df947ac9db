package dump

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func reason(err error) Reason {
	var e *OpenError
	if errors.As(err, &e) {
		return e.Reason
	}
	return 0
}

func TestRefusals(t *testing.T) {
	full := append(header(Full, Run{0, 1}), page(0)...)
	change := func(off int, v uint32) []byte {
		b := bytes.Clone(full)
		le.PutUint32(b[off:], v)
		return b
	}
	pad := func(s string) []byte { return append([]byte(s), make([]byte, 8192)...) }
	for _, tt := range []struct {
		name    string
		content []byte
		want    Reason
		line    string // of WinDbg
	}{
		{"empty", nil, Empty, "Could not open dump file [x.dmp], NTSTATUS 0xC000011E"},
		{"4 bytes", []byte("PAGE"), TooShort, "Dump file is too large to map"},
		{"header cut", full[:0x1fff], TooShort, "Could not match Dump File signature - invalid file format"},
		{"text", []byte("this is no dump, it is a text\r\n"), Text, "Could not match Dump File signature - invalid file format"},
		{"random", pad("\x01\x02\x03\x04\x05\x06\x07\x08"), NotADump, "Could not match Dump File signature - invalid file format"},
		{"type 3", change(0xf98, 3), BadType, "Could not match Dump File signature - invalid file format"},
		{"type 11", change(0xf98, 11), BadType, "Could not match Dump File signature - invalid file format"},
		{"machine", change(0x30, 0x1234), BadMachine, "Unable to initialize target machine information, Win32 error 0n87"},
		{"32 bit", pad("PAGEDUMP"), Format32, "Unable to initialize target machine information, Win32 error 0n87"},
		{"MDMP", pad("MDMP\x93\xa7\x00\x00"), UserDump, ""},
		{"ELF core", pad("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00"), ELFCore, ""},
		{"program", pad("MZ\x90\x00\x03\x00\x00\x00"), Image, ""},
		{"LiME", pad("EMiL\x01\x00\x00\x00"), LiME, ""},
		{"VMware", pad("\xd2\xbe\xd2\xbe\x08\x00\x00\x00"), VMware, ""},
		{"hibernation", pad("HIBR\x00\x00\x00\x00"), Hibernation, ""},
		{"cab", pad("MSCF\x00\x00\x00\x00"), Cabinet, "Unable to extract dump file from CAB file"},
		{"gz", pad("\x1f\x8b\x08\x00\x00\x00\x00\x00"), Archive, ""},
		{"zip", pad("PK\x03\x04\x00\x00\x00\x00"), Archive, ""},
		{"zst", pad("\x28\xb5\x2f\xfd\xff\xff\xff\xff"), Archive, ""},
	} {
		f, err := open(t, tt.content)
		if err == nil {
			f.Close()
		}
		var e *OpenError
		if !errors.As(err, &e) || e.Reason != tt.want {
			t.Errorf("%s: %v, want reason %d", tt.name, err, tt.want)
			continue
		}
		if msg := e.Error(); !strings.HasPrefix(msg, e.Path+": ") || strings.ContainsAny(msg, "\n") {
			t.Errorf("%s: %q is not one sentence about the file", tt.name, msg)
		}
		e.Path = "x.dmp"
		if lines, _ := e.WinDbg(); tt.line != "" && lines[0] != tt.line {
			t.Errorf("%s: WinDbg's %q, want %q", tt.name, lines, tt.line)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none.dmp"), Options{}); reason(err) != NotFound {
		t.Errorf("no such file: %v", err)
	}
	if _, err := Open(t.Context(), t.TempDir(), Options{}); reason(err) != NotFound {
		t.Errorf("folder: %v", err)
	}
}

func TestOddHeaders(t *testing.T) {
	b := append(header(Full, Run{0, 1}), page(0)...)
	le.PutUint32(b[0x34:], 0)
	le.PutUint64(b[0x10:], 0)
	wantWarnings(t, mustOpen(t, b), Processors, NoDirectoryBase)
	le.PutUint32(b[0x34:], 2049)
	wantWarnings(t, mustOpen(t, b), Processors, NoDirectoryBase)
}

func zst(t *testing.T, content []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(content, nil)
}

func zipped(t *testing.T, names []string, content []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(strings.ToLower(name), ".dmp") {
			f.Write(content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpack(t *testing.T) {
	data := append(pages(1), make([]byte, 64<<20)...) // mostly holes
	content := append(header(Full, Run{1, uint64(len(data) / 4096)}), data...)
	for name, packed := range map[string][]byte{
		"zst": zst(t, content),
		"zip": zipped(t, []string{"readme.txt", "../../up/MEMORY.DMP"}, content),
	} {
		path, cache := write(t, packed), t.TempDir()
		var done, total uint64
		opt := Options{CacheDir: cache, Progress: func(d, n uint64) {
			if d < done || d > n {
				t.Errorf("%s: progress %d of %d after %d", name, d, n, done)
			}
			done, total = d, n
		}}
		f, err := Open(t.Context(), path, opt)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, ok := f.Page(1); !ok || !bytes.Equal(got, page(1)) || f.Size() != uint64(len(content)) || f.Path() != path {
			t.Errorf("%s: page 1 %v, size %d, path %s", name, ok, f.Size(), f.Path())
		}
		f.Close()
		if done != total || total == 0 {
			t.Errorf("%s: progress ended at %d of %d", name, done, total)
		}
		files, _ := os.ReadDir(cache)
		if len(files) != 1 || filepath.Join(cache, files[0].Name()) != f.DataPath() {
			t.Fatalf("%s: the cache holds %v, data path %s", name, files, f.DataPath())
		}
		// Again: nothing is unpacked.
		done, total = 0, 0
		f, err = Open(t.Context(), path, opt)
		if err != nil || total != 0 {
			t.Errorf("%s, again: %v, progress %d of %d", name, err, done, total)
		}
		f.Close()
	}
}

func TestUnpackFailures(t *testing.T) {
	content := append(header(Full, Run{1, 40}), make([]byte, 40*4096)...)
	for i := HeaderSize; i < len(content); i++ {
		content[i] = byte(i * i >> 3)
	}
	packed := zst(t, content)
	for _, tt := range []struct {
		name    string
		content []byte
		opt     Options
		want    Reason
	}{
		{"cut", packed[:len(packed)-50], Options{}, Archive},
		{"limit", packed, Options{MaxUnpacked: 100000}, Unpacking},
		{"twice", zst(t, packed), Options{}, Archive},
		{"text inside", zst(t, []byte("only a text")), Options{}, Text},
		{"nothing inside", zst(t, nil), Options{}, TooShort},
		{"no dump in zip", zipped(t, []string{"a.txt"}, nil), Options{}, Archive},
	} {
		tt.opt.CacheDir = t.TempDir()
		if _, err := Open(t.Context(), write(t, tt.content), tt.opt); reason(err) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
		if files, _ := os.ReadDir(tt.opt.CacheDir); len(files) != 0 {
			t.Errorf("%s: the cache holds %v", tt.name, files)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, write(t, packed), Options{CacheDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
