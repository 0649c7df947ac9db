package arm64

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// record returns the text that WinDbg's engine printed on the ARM64 dump.
func record(t *testing.T) string {
	t.Helper()
	root := os.Getenv("KDAP_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared")
	}
	text, err := os.ReadFile(filepath.Join(root, "reference", "windbg", "triage_arm64", "disasm.txt"))
	if err != nil {
		t.Skipf("reference material is not here: %v", err)
	}
	return string(text)
}

func TestRecorded(t *testing.T) {
	text := record(t)
	const base = 0xfffff803f2e00000
	o := Options{Symbol: func(addr uint64) (string, bool) {
		return "nt+0x" + strconv.FormatUint(addr-base, 16), addr >= base && addr < base+0x2000000
	}}
	rows := 0
	for _, m := range regexp.MustCompile("(?m)^([0-9a-f]{8})`([0-9a-f]{8}) ([0-9a-f]{8}) .*$").FindAllStringSubmatch(text, -1) {
		addr, _ := strconv.ParseUint(m[1]+m[2], 16, 64)
		word, _ := strconv.ParseUint(m[3], 16, 32)
		inst, err := Decode(uint32(word))
		if err != nil {
			t.Errorf("%s: %v", m[0], err)
			continue
		}
		rows++
		if got := inst.Line(addr, o); got != m[0] {
			t.Errorf("got  %s\nwant %s", got, m[0])
		}
		o := o
		o.NoCodeBytes = true
		if got, want := inst.Line(addr, o), strings.Replace(m[0], m[3]+" ", "", 1); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if rows < 20 {
		t.Errorf("only %d rows", rows)
	}
	if got := UnreadableLine(0, o); !strings.Contains(text, "\n"+got+"\n") {
		t.Errorf("unreadable: %q", got)
	}
}

// TestExtra holds words that llvm-mc assembled from these texts.
func TestExtra(t *testing.T) {
	for word, want := range map[uint32]string{
		0xd503237f: "pacibsp",
		0xd50323ff: "autibsp",
		0xd503201f: "nop",
		0xd503245f: "bti c",
		0xd503203f: "yield",
		0xd65f0fff: "retab",
		0xd71f0909: "braa x8,x9",
		0xd63f091f: "blraaz x8",
		0xd61f0a3f: "braaz x17",
		0xd73f0c7f: "blrab x3,sp",
		0xb8e80149: "ldaddal w8,w9,[x10]",
		0xf82803e9: "ldadd x8,x9,[sp]",
		0xb821005f: "stadd w1,[x2]",
		0xf861005f: "staddl x1,[x2]",
		0xf8e08041: "swpal x0,x1,[x2]",
		0x38208041: "swpb w0,w1,[x2]",
		0x78a310a4: "ldclrah w3,w4,[x5]",
		0xf82360bf: "stumax x3,[x5]",
		0xb8bfc041: "ldapr w1,[x2]",
		0x88a17c62: "cas w1,w2,[x3]",
		0xc8e1fc62: "casal x1,x2,[x3]",
		0x08e17fe2: "casab w1,w2,[sp]",
		0xf8bd303e: "ldseta fp,lr,[x1]",
	} {
		inst, err := Decode(word)
		m, ops := inst.Text(0, &Options{})
		if got := strings.TrimSpace(m + " " + ops); err != nil || got != want {
			t.Errorf("%08x: %q (%v), want %q", word, got, err, want)
		}
	}
}

func TestAnalyze(t *testing.T) {
	// cbz x0, +8; ret; bl .; ret
	code := []uint32{0xb4000040, 0xd65f03c0, 0x94000000, 0xd65f03c0}
	fetch := func(va uint64, p []byte) int {
		if va%4 != 0 || va/4 >= uint64(len(code)) {
			return 0
		}
		binary.LittleEndian.PutUint32(p, code[va/4])
		return 4
	}
	res, err := Analyze(t.Context(), fetch, 0)
	if err != nil || len(res.Blocks) != 3 || res.Count != 4 || res.Incomplete {
		t.Errorf("%+v, %v", res, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, w := range []uint32{0x91010260, 0x97fac552, 0xb0003a28, 0x54000088, 0xf140211f, 0x9a888142, 0xa9bf7bfd, 0} {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, word uint32) {
		inst, err := Decode(word)
		if (err == nil) != (inst.Mnemonic != "") {
			t.Fatalf("%08x: %v, %q", word, err, inst.Mnemonic)
		}
		line := inst.Line(0x140001000, Options{})
		if strings.TrimSpace(line) != line || strings.Contains(line, ",,") || strings.HasSuffix(line, ",") {
			t.Fatalf("%08x: %q", word, line)
		}
	})
}
