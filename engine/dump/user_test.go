package dump

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/edsrzf/mmap-go"

	"kdap/engine/memory"
	"kdap/internal/truth"
)

func calc(t testing.TB) ([]byte, *UserFile) {
	t.Helper()
	path := truth.Dump(t, "minidump_calc")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u, err := OpenUser(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return b, u
}

func TestUserDump(t *testing.T) {
	_, u := calc(t)
	if len(u.Warnings()) != 0 {
		t.Errorf("warnings: %+v", u.Warnings())
	}
	if len(u.Threads) != 5 || len(u.Modules) != 28 || len(u.Ranges()) != 9 {
		t.Errorf("%d threads, %d modules, %d ranges", len(u.Threads), len(u.Modules), len(u.Ranges()))
	}
	if m := u.Modules[0]; m.Base != 0xfffe0000 || !strings.HasSuffix(m.Name, "calc.exe") || !bytes.HasPrefix(m.CodeView, []byte("RSDS")) {
		t.Errorf("first module %q at %#x, %q", m.Name, m.Base, m.CodeView)
	}
	if e := u.Exception; e == nil || e.Code != 0x80000003 || e.Address != 0x7776ae10 || e.ThreadID != 0x65c || len(e.Context) != 0x4d0 {
		t.Errorf("exception %+v", e)
	}
	if s := u.System; s == nil || s.ProcessorArchitecture != 9 || s.BuildNumber != 7601 || s.NumberOfProcessors != 2 || s.CSDVersion != "Service Pack 1" {
		t.Errorf("system %+v", s)
	}
	if m := u.Misc; m == nil || m.Size != 0x554 || m.ProcessID == 0 || !strings.Contains(m.BuildString, "7601") {
		t.Errorf("misc %+v", m)
	}
	// Every range as WinDbg lists it, and readable.
	row := regexp.MustCompile("^ +[0-9]+ ([0-9A-F]{8}) +([0-9a-f`]{17}) +([0-9a-f`]{17})$")
	num := func(s string) uint64 {
		v, _ := strconv.ParseUint(strings.ReplaceAll(s, "`", ""), 16, 64)
		return v
	}
	n := 0
	for _, line := range record(t, "minidump_calc/open-header.txt", ".dumpdebug") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if n >= len(u.Ranges()) {
			t.Fatalf("more rows than ranges: %s", line)
		}
		r := u.Ranges()[n]
		if n++; r.Off != num(m[1]) || r.VA != num(m[2]) || r.Size != num(m[3]) {
			t.Errorf("range %+v, WinDbg: %s", r, line)
		}
		if b, err := memory.ReadBytes(u.Space(), r.VA, int(r.Size)); err != nil || !bytes.Equal(b, r.Data) {
			t.Errorf("range at %#x: %v", r.VA, err)
		}
	}
	if n != 9 {
		t.Errorf("%d rows in the recording", n)
	}
	for _, th := range u.Threads {
		if len(th.Context) != 0x4d0 || uint64(len(th.Stack.Data)) != th.Stack.Size || th.TEB == 0 {
			t.Errorf("thread %#x: context %#x, stack %#x of %#x", th.ID, len(th.Context), len(th.Stack.Data), th.Stack.Size)
		}
	}
}

func TestUserDumpDamaged(t *testing.T) {
	b, _ := calc(t)
	for _, n := range []int{40, 0x100, 0x300, 0x700, 0x2000, 0x4b00, len(b) - 1} {
		u, err := OpenUser(t.Context(), write(t, b[:n]), Options{})
		if err != nil {
			t.Errorf("cut at %#x: %v", n, err)
			continue
		}
		if len(u.Warnings()) == 0 {
			t.Errorf("cut at %#x: no warning", n)
		}
		u.Close()
	}
	if _, err := OpenUser(t.Context(), write(t, b[:30]), Options{}); reason(err) != TooShort {
		t.Errorf("cut in the header: %v", err)
	}
	if _, err := OpenUser(t.Context(), write(t, b[:32]), Options{}); reason(err) != TooShort {
		t.Errorf("cut before the directory: %v", err)
	}
	if _, err := OpenUser(t.Context(), write(t, append(header(Full, Run{0, 1}), page(0)...)), Options{}); reason(err) != NotADump {
		t.Errorf("a kernel dump: %v", err)
	}
}

// FuzzUser: what opens can be read, and stays within a multiple of the file.
func FuzzUser(f *testing.F) {
	f.Add([]byte("MDMP\x93\xa7\x00\x00\x02\x00\x00\x00\x20\x00\x00\x00" + strings.Repeat("\x00", 16) +
		"\x05\x00\x00\x00\x14\x00\x00\x00\x38\x00\x00\x00" + "\x03\x00\x00\x00\x34\x00\x00\x00\x38\x00\x00\x00" +
		"\x01\x00\x00\x00" + "\x00\x10\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x20\x00\x00\x00" + strings.Repeat("\x01", 64)))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := newUserFile("x.dmp", &source{data: mmap.MMap(b)})
		if err != nil {
			return
		}
		if len(u.Threads)*48+len(u.Modules)*108+len(u.Ranges())*16+len(u.Handles)*32+len(u.Regions)*48 > 8*len(b) {
			t.Fatal("more entries than the file has room for")
		}
		for blk := range u.Space().All() {
			got, err := memory.ReadBytes(u.Space(), blk.VA, len(blk.Data))
			if err != nil || !bytes.Equal(got, blk.Data) {
				t.Fatalf("block at %#x: %v", blk.VA, err)
			}
		}
	})
}
