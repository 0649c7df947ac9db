package pdb

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/internal/truth"
)

func globOne(t testing.TB, pattern string) string {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(sharedDir(t), pattern))
	if err != nil || len(m) == 0 {
		t.Skipf("no %s: %v", pattern, err)
	}
	return m[0]
}

// TestLocalsAsRecorded compares with WinDbg's "dv /i /t /V" in the frame
// KERNELBASE!ReadConsoleA+0x6b of the lab dump (record lab/locals.txt).
func TestLocalsAsRecorded(t *testing.T) {
	f := openTest(t, globOne(t, "kernelbase.pdb/*/kernelbase.pdb"))
	sym, ok := f.LookupGlobal("ReadConsoleA")
	if !ok {
		t.Fatal("no ReadConsoleA")
	}
	p, ok := f.Resolve(sym)
	if !ok {
		t.Fatal("no procedure ReadConsoleA")
	}
	body, err := p.Body()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"param h nowhere", "param buffer nowhere", "param n nowhere", "param read rsi", "param control rsp+0xb0", "local io rsp+0x50",
		"local msg rsp+0x60", "local s eax",
	}
	var got []string
	at := p.RVA + 0x6b
	for _, s := range body.Path(at) {
		for i := range s.Locals {
			l := &s.Locals[i]
			text := "local "
			if l.IsParam() {
				text = "param "
			}
			text += l.Name
			locs := l.At(at)
			if len(locs) == 0 {
				text += " nowhere"
			}
			for _, loc := range locs {
				text += " " + RegName(f.Machine(), loc.Reg)
				if loc.Kind == LocRegRel {
					text += fmt.Sprintf("%+#x", loc.Offset)
				}
			}
			got = append(got, text)
		}
	}
	diff(t, "variable", got, want)
}

// record reads a record of WinDbg's output: blocks by command, in order.
func record(t *testing.T, name string) (blocks [][]string) {
	t.Helper()
	fd, err := os.Open(truth.Path(t, "reference", "windbg", "lab", name))
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	var r io.Reader = fd
	if strings.HasSuffix(name, ".xz") {
		if r, err = xz.NewReader(fd); err != nil {
			t.Fatal(err)
		}
	}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		switch line := sc.Text(); {
		case strings.HasPrefix(line, "<<< "):
			blocks = append(blocks, []string{line[4:]})
		case line == ">>>" || len(blocks) == 0:
		default:
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], line)
		}
	}
	return blocks
}

// recordedBase is where the kernel and PotionShop lie in the lab dump.
const (
	recordedKernel = 0xfffff80451a00000
	recordedShop   = 0x7ff6336c0000
)

func recordedRVA(s string, base uint64) uint32 {
	v, _ := strconv.ParseUint(strings.ReplaceAll(s, "`", ""), 16, 64)
	return uint32(v - base)
}

var rowX = regexp.MustCompile("^([0-9a-f]{8}`[0-9a-f]{8}) \\w+!(.*)$")

// TestPublicsOrderAsRecorded compares the order of the publics with "x nt!*".
func TestPublicsOrderAsRecorded(t *testing.T) {
	f := openTest(t, kernelPath(t))
	var want, got []string
	shown := map[uint32]bool{}
	for _, line := range record(t, "x-all.txt.xz")[0] {
		if m := rowX.FindStringSubmatch(line); m != nil {
			want = append(want, fmt.Sprintf("%#x", recordedRVA(m[1], recordedKernel)))
			shown[recordedRVA(m[1], recordedKernel)] = true
		}
	}
	for s := range f.Publics() {
		// WinDbg leaves string literals without a scope out.
		if strings.HasPrefix(s.Name, "??_C@") && (!shown[s.RVA] || !strings.HasSuffix(strings.TrimSuffix(s.Name, "@"), "@") && strings.HasSuffix(s.Name, "?$AA@")) {
			continue
		}
		got = append(got, fmt.Sprintf("%#x", s.RVA))
	}
	diff(t, "public", got, want)
}

// TestGlobalsOrderAsRecorded compares the order of data and functions with
// "x PotionShop!*", which lists them before the publics.
func TestGlobalsOrderAsRecorded(t *testing.T) {
	f := openTest(t, globOne(t, "PotionShop.pdb/*/PotionShop.pdb"))
	var data, funcs, want []string
	for s := range f.Globals() {
		switch s.Kind {
		case SGData32, SLData32:
			data = append(data, fmt.Sprintf("%#x %s", s.RVA, s.Name))
		case SProcRef, SLProcRef:
			p, _ := f.Resolve(s)
			funcs = append(funcs, fmt.Sprintf("%#x %s", p.RVA, p.Name))
		}
	}
	got := append(data, funcs...)
	for _, b := range record(t, "x-user.txt") {
		if b[0] != "x PotionShop!*" {
			continue
		}
		for _, line := range b[1:] {
			if m := rowX.FindStringSubmatch(line); m != nil && len(want) < len(got) {
				name, _, _ := strings.Cut(m[2], " ")
				want = append(want, fmt.Sprintf("%#x %s", recordedRVA(m[1], recordedShop), name))
			}
		}
		break
	}
	diff(t, "global", got, want)
}

var rowLn = regexp.MustCompile("^\\(([0-9a-f`]+)\\)   (nt|PotionShop|ntdll|KERNEL32|KERNELBASE)!(\\S+?)(?:\\+0x([0-9a-f`]+))?   (?:\\|  \\(([0-9a-f`]+)\\)   \\w+!(\\S+))?$")

// TestNearestAsRecorded compares the nearest and next symbols and the names at
// an address with "ln".
func TestNearestAsRecorded(t *testing.T) {
	files := map[string]*File{"nt": openTest(t, kernelPath(t))}
	bases := map[string]uint64{
		"nt": recordedKernel, "PotionShop": recordedShop, "ntdll": 0x7ffc3d2f0000, "KERNEL32": 0x7ffc3c0d0000, "KERNELBASE": 0x7ffc3ae60000,
	}
	for m := range bases {
		if m != "nt" {
			name := m
			if name != "PotionShop" {
				name = strings.ToLower(m)
			}
			files[m] = openTest(t, globOne(t, name+".pdb/*/"+name+".pdb"))
		}
	}
	cut := func(s Symbol) string {
		if s.Kind != SPub32 || s.Name[0] == '?' {
			return s.Name
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(s.Name, "_"), "@")
		return name
	}
	n := map[string]int{}
	for _, b := range append(record(t, "ln-aliases.txt"), record(t, "ln.txt")...) {
		var exact []string
		var m []string
		for _, line := range b[1:] {
			if r := rowLn.FindStringSubmatch(line); r != nil {
				m = r
			} else if _, name, ok := strings.Cut(line, "!"); ok && strings.HasPrefix(line, "    ") {
				name, _, _ = strings.Cut(name, " ")
				exact = append(exact, name)
			}
		}
		if m == nil || strings.Contains(m[3]+m[6], "::") || strings.Contains(b[0], ";") || len(strings.Fields(b[0])) != 2 {
			continue
		}
		n[m[2]]++
		f, base := files[m[2]], bases[m[2]]
		rva := recordedRVA(m[1], base)
		at := rva + recordedRVA(m[4], 0)
		if recordedRVA(m[4], 0) == 0xffffffff {
			at = rva - 1 // in front of all symbols, or far behind them
			if m[6] == "" {
				at = rva + 0xfff
			}
		}
		near, ok := f.NearestAnywhere(at)
		if !ok || near.RVA != rva || cut(near) != m[3] {
			t.Errorf("%s: nearest is %v, %v, want %s", b[0], near, ok, m[3])
		}
		next, ok := f.Next(rva)
		if ok != (m[6] != "") || ok && (next.RVA != recordedRVA(m[5], base) || cut(next) != m[6]) {
			t.Errorf("%s: next is %v, %v, want %q", b[0], next, ok, m[6])
		}
		var here []string
		for _, s := range f.PublicsAt(rva) {
			here = append(here, cut(s))
		}
		if m[2] == "nt" && len(exact) > 0 && !strings.Contains(strings.Join(exact, " "), "::") {
			diff(t, b[0], here, exact)
		}
	}
	if n["nt"] < 30 || len(n) < 4 {
		t.Errorf("only %v answers compared", n)
	}
}

// TestTypeListsAsRecorded compares the order of types with "dt nt!_EX*" and
// its like.
func TestTypeListsAsRecorded(t *testing.T) {
	kernel := openTest(t, kernelPath(t))
	files := map[string]*File{
		"nt": kernel, "PotionShop": openTest(t, globOne(t, "PotionShop.pdb/*/PotionShop.pdb")), "ntdll": openTest(t, globOne(t, "ntdll.pdb/*/ntdll.pdb")),
	}
	cmd := regexp.MustCompile(`^dt (nt|PotionShop|ntdll)!([\w*]*\*)$`)
	n := 0
	for _, b := range append(record(t, "dt-types.txt"), record(t, "dt-user.txt")...) {
		m := cmd.FindStringSubmatch(b[0])
		if m == nil {
			continue
		}
		pattern := regexp.MustCompile("(?i)^" + strings.ReplaceAll(m[2], "*", ".*") + "$")
		var want, got []string
		for _, line := range b[1:] {
			if _, name, ok := strings.Cut(line, "!"); ok && strings.HasPrefix(line, "          ") {
				want = append(want, name)
			}
		}
		for name := range files[m[1]].NamedTypes() {
			if pattern.MatchString(name) {
				got = append(got, name)
			}
		}
		n++
		if len(want) > 0 || len(got) == 0 {
			diff(t, b[0]+": type", got, want)
		}
	}
	if n < 10 {
		t.Errorf("only %d lists compared", n)
	}
	if typ, ok := files["PotionShop"].Typedef("ulong64"); !ok || typ.Size != 8 {
		t.Errorf("Typedef: %v, %v", typ, ok)
	}
}

// TestLinesAsRecorded compares the source line of every place that the record
// gives one for, in stacks and disassembly: "ntdll!Name+0x36 [C:\x.c @ 44]".
func TestLinesAsRecorded(t *testing.T) {
	row := regexp.MustCompile(`\b(PotionShop|ntdll|KERNELBASE|KERNEL32)!(\w+)(?:\+0x([0-9a-f]+))? \[(\S+) @ (\d+)\]`)
	names, err := filepath.Glob(filepath.Join(truth.Path(t, "reference", "windbg", "lab"), "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*File{}
	seen := map[string]bool{}
	for _, name := range names {
		for _, b := range record(t, filepath.Base(name)) {
			for _, line := range b[1:] {
				m := row.FindStringSubmatch(line)
				if m == nil || seen[m[0]] {
					continue
				}
				seen[m[0]] = true
				f := files[m[1]]
				if f == nil {
					pdb := m[1]
					if pdb != "PotionShop" {
						pdb = strings.ToLower(pdb)
					}
					f = openTest(t, globOne(t, pdb+".pdb/*/"+pdb+".pdb"))
					files[m[1]] = f
				}
				s, ok := f.LookupGlobal(m[2])
				p, found := f.Resolve(s)
				if !ok || !found {
					t.Errorf("no procedure %s!%s", m[1], m[2])
					continue
				}
				at := p.RVA + recordedRVA(m[3], 0)
				l, ok := f.LineAt(at)
				if !ok || l.File.Name != m[4] || fmt.Sprint(l.Number) != m[5] {
					t.Errorf("%s: %s @ %d, %v", m[0], l.File.Name, l.Number, ok)
				}
				again := false
				for o := range f.LinesOf(filepath.Base(strings.ReplaceAll(m[4], `\`, "/"))) {
					again = again || o.RVA == l.RVA && o.Number == l.Number
				}
				if !again {
					t.Errorf("%s: not among the lines of its file", m[0])
				}
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d places compared", len(seen))
	}
}
