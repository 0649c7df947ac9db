package disasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/wildcard"
)

// A machine is the contents of one of the small minidumps of the record: its
// memory and the registers of its thread. The test reads the file on its own.
type machine struct {
	mode    Mode
	pieces  map[uint64][]byte
	regs    map[Reg]uint64
	options Options
}

func readMachine(t *testing.T, path string, mode Mode) *machine {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{mode: mode, pieces: map[uint64][]byte{}, regs: map[Reg]uint64{}, options: Options{AddressDigits: 16}}
	if mode == Mode32 {
		m.options.AddressDigits = 8
	}
	u32 := func(off uint32) uint32 { return binary.LittleEndian.Uint32(data[off:]) }
	u64 := func(off uint32) uint64 { return binary.LittleEndian.Uint64(data[off:]) }
	streams, dir := u32(8), u32(12)
	for i := range streams {
		kind, rva := u32(dir+12*i), u32(dir+12*i+8)
		switch kind {
		case 3: // threads
			ctx := u32(rva + 4 + 44)
			if mode == Mode64 {
				for n := range uint8(16) {
					m.regs[Reg{Qword, n}] = u64(ctx + 0x78 + 8*uint32(n))
				}
				m.regs[Reg{Class: Flags}] = uint64(u32(ctx + 0x44))
				m.regs[Reg{IP, 64}] = u64(ctx + 0xf8)
				for n, s := range []Reg{cs, ds, es, fs, gs, ss} {
					m.regs[s] = uint64(binary.LittleEndian.Uint16(data[ctx+0x38+2*uint32(n):]))
				}
				break
			}
			for n, off := range []uint32{0xb0, 0xac, 0xa8, 0xa4, 0xc4, 0xb4, 0xa0, 0x9c} {
				m.regs[Reg{Qword, uint8(n)}] = uint64(u32(ctx + off))
			}
			m.regs[Reg{Class: Flags}] = uint64(u32(ctx + 0xc0))
			m.regs[Reg{IP, 64}] = uint64(u32(ctx + 0xb8))
			for n, s := range []Reg{gs, fs, es, ds} {
				m.regs[s] = uint64(u32(ctx + 0x8c + 4*uint32(n)))
			}
			m.regs[cs], m.regs[ss] = uint64(u32(ctx+0xbc)), uint64(u32(ctx+0xc8))
		case 5: // memory
			for n := range u32(rva) {
				e := rva + 4 + 16*n
				at := u32(e + 12)
				m.pieces[u64(e)] = data[at : at+u32(e+8)]
			}
		case 9: // memory, one run in the file
			at := u64(rva + 8)
			for n := range u64(rva) {
				e := rva + 16 + 16*uint32(n)
				m.pieces[u64(e)] = data[at : at+u64(e+8)]
				at += u64(e + 8)
			}
		}
	}
	return m
}

func (m *machine) fetch(va uint64, p []byte) int {
	for i := range p {
		found := false
		for base, b := range m.pieces {
			if off := va + uint64(i) - base; off < uint64(len(b)) {
				p[i], found = b[off], true
			}
		}
		if !found {
			return i
		}
	}
	return len(p)
}

func (m *machine) Read(va uint64, p []byte) (int, error) {
	n := m.fetch(va, p)
	if n < len(p) {
		return n, fmt.Errorf("hole")
	}
	return n, nil
}

func (m *machine) Register(r Reg) (uint64, bool) {
	switch r.Class {
	case Dword:
		v, ok := m.regs[Reg{Qword, r.Num}]
		return v & 0xffffffff, ok
	case Word:
		v, ok := m.regs[Reg{Qword, r.Num}]
		return v & 0xffff, ok
	}
	v, ok := m.regs[r]
	return v, ok
}

var (
	setRegister = regexp.MustCompile(`^r ([a-z0-9]+)=([0-9a-f]+)$`)
	list        = regexp.MustCompile(`^(u|uu|ub|ur|uf|uf /c) ([0-9a-f]+)(?: L([0-9a-f]+))?$`)
	search      = regexp.MustCompile(`^# (\S+) ([0-9a-f]+)$`)
)

var errUnknown = fmt.Errorf("not a command of this test")

// run executes the commands of the record that concern this package.
func (m *machine) run(t *testing.T, cmd string) (string, error) {
	if a, b, ok := strings.Cut(cmd, ";"); ok {
		if _, err := m.run(t, a); err != nil {
			return "", err
		}
		return m.run(t, b)
	}
	hex := func(s string) uint64 {
		v, err := strconv.ParseUint(s, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if r := setRegister.FindStringSubmatch(cmd); r != nil {
		reg := map[string]Reg{"rip": {IP, 64}, "eip": {IP, 64}, "rcx": rcx, "efl": {Class: Flags}}[r[1]]
		m.regs[reg] = hex(r[2])
		return "", nil
	}
	switch cmd {
	case "rM 0":
		it := At(m.mode, m.fetch, m.regs[Reg{IP, 64}])
		return it.Current(m, m, m.mode == Mode32, m.options) + "\n", nil
	case ".asm no_code_bytes":
		m.options.NoCodeBytes = true
		return "Assembly options: no_code_bytes\n", nil
	case ".asm ignore_output_width":
		m.options.IgnoreOutputWidth = true
		return "Assembly options: ignore_output_width\n", nil
	case ".asm- no_code_bytes", ".asm- ignore_output_width":
		m.options.NoCodeBytes, m.options.IgnoreOutputWidth = false, false
		return "Assembly options: <default>\n", nil
	}
	if s := search.FindStringSubmatch(cmd); s != nil {
		p := wildcard.CompileContains(s[1])
		for va := hex(s[2]); ; {
			it := At(m.mode, m.fetch, va)
			if line := it.Line(m.options); p.Match(line) {
				return line + "\n", nil
			}
			va = it.Next()
		}
	}
	l := list.FindStringSubmatch(cmd)
	if l == nil {
		return "", errUnknown
	}
	va, n := hex(l[2]), uint64(8)
	if l[3] != "" {
		n = hex(l[3])
	}
	return m.list(l[1], cmd, va, int(n)), nil
}

func (m *machine) list(name, cmd string, va uint64, n int) string {
	var b strings.Builder
	mode := m.mode
	fail := func(text string) string {
		cmd := strings.Replace(cmd, "L", "l", 1)
		return fmt.Sprintf("%*s^ %s '%s'\nHRESULT 80040205\n", 7+len(cmd), "", text, cmd)
	}
	switch name {
	case "ub":
		starts, ok := Before(mode, m.fetch, va, n)
		if !ok {
			return fail("Unable to find valid previous instruction for")
		}
		for _, s := range starts {
			it := At(mode, m.fetch, s)
			b.WriteString(it.Line(m.options) + "\n")
		}
		return b.String()
	case "uf":
		fn, err := Analyze(context.Background(), mode, m.fetch, va, FlowOptions{})
		if err != nil {
			return err.Error()
		}
		for i, block := range fn.Blocks {
			if i > 0 {
				b.WriteString("\n")
			}
			for _, it := range block.Items {
				b.WriteString(it.Line(m.options) + "\n")
			}
		}
		return b.String()
	case "uf /c":
		fn, _ := Analyze(context.Background(), mode, m.fetch, va, FlowOptions{})
		fmt.Fprintf(&b, "%s\n", m.options.Address(va))
		for _, it := range fn.Calls() {
			target, ok := it.Inst.Target(it.Addr)
			if slot, through := it.Inst.Slot(it.Addr); !ok && through {
				var p [8]byte
				m.fetch(slot, p[:])
				target = binary.LittleEndian.Uint64(p[:])
			}
			fmt.Fprintf(&b, "  %s:\n    call to %s\n", m.options.Address(it.Addr), m.options.Address(target))
		}
		return b.String()
	case "ur":
		mode = Mode16
	}
	for range n {
		it := At(mode, m.fetch, va)
		b.WriteString(it.Line(m.options) + "\n")
		if name == "u" && (it.State == Unreadable || it.State == Cut) {
			return b.String() + fail("Memory access error in")
		}
		va = it.Next()
	}
	return b.String()
}

// knownDifferences are commands whose recorded answer is the engine's mistake.
var knownDifferences = map[string]string{
	"machine-x64.txt r rip=400690;rM 0": "takes the vector index for the general register of its number",
	"machine-x86.txt r eip=400420;rM 0": "16-bit address computed from the registers a 32-bit ModRM would name",
	"machine-x86.txt r eip=400430;rM 0": "likewise",
}

// TestRecordedMachines replays what WinDbg's engine answered on the two small
// minidumps.
func TestRecordedMachines(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode Mode
	}{{"machine-x64", Mode64}, {"machine-x86", Mode32}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shared(t, "reference", "windbg", "disasm")
			m := readMachine(t, dir+"/"+tt.name+".dmp", tt.mode)
			text, err := os.ReadFile(dir + "/" + tt.name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			done := 0
			for _, block := range strings.Split(string(text), "<<< ")[1:] {
				cmd, want, _ := strings.Cut(block, "\n")
				want = strings.TrimSuffix(want, ">>>\n")
				got, err := m.run(t, cmd)
				if err != nil {
					continue
				}
				done++
				if _, known := knownDifferences[tt.name+".txt "+cmd]; got != want && !known {
					t.Errorf("%s:\n%swant\n%s", cmd, got, want)
				}
			}
			t.Logf("%d commands", done)
			if done < 90 {
				t.Error("too few commands were understood")
			}
		})
	}
}

// TestRecordedSymbols checks where names stand in operands. The names
// themselves are taken from the record: those of the two modules there.
func TestRecordedSymbols(t *testing.T) {
	text, err := os.ReadFile(shared(t, "reference", "windbg", "disasm", "symbols-x64.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint64]string{}
	named := regexp.MustCompile("((?:PotionShop!|SharedUserData)[^,\\[\\]]*?) \\(([0-9a-f]{8})`([0-9a-f]{8})\\)")
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		addr, err := strconv.ParseUint(m[2]+m[3], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		names[addr] = m[1]
	}
	o := Options{Symbol: func(addr uint64) (string, bool) {
		s, ok := names[addr]
		return s, ok
	}}
	rows := 0
	for _, m := range regexp.MustCompile("(?m)^([0-9a-f]{8})`([0-9a-f]{8}) ([0-9a-f]+) .*$").FindAllStringSubmatch(string(text), -1) {
		addr, _ := strconv.ParseUint(m[1]+m[2], 16, 64)
		code := make([]byte, len(m[3])/2)
		fmt.Sscanf(m[3], "%x", &code)
		inst, err := Decode(Mode64, code)
		if err != nil {
			t.Errorf("%s: %v", m[0], err)
			continue
		}
		rows++
		if got := Line(addr, code, &inst, o); got != m[0] {
			t.Errorf("got  %s\nwant %s", got, m[0])
		}
	}
	if rows < 60 {
		t.Errorf("only %d rows", rows)
	}
}

// TestRecordedListings checks every line of code in the listings of the lab
// dump: nt, ntdll, the user programs. Names come from the record.
func TestRecordedListings(t *testing.T) {
	named := regexp.MustCompile("([^\\s,\\[\\]({]+!?[^,\\[\\](]*?(?: <PERF> \\([^)]*\\))?) \\(([0-9a-f]{8})`([0-9a-f]{8})\\)")
	code := regexp.MustCompile("(?m)^(?: *[0-9]* )?([0-9a-f]{8})`([0-9a-f]{8}) ((?:[0-9a-f]{2})+) +[a-z].*$")
	rows := 0
	for _, name := range []string{"lab/disasm-u.txt", "lab/disasm-uf.txt", "triage_x64/disasm.txt", "minidump_calc/disasm.txt"} {
		text, err := os.ReadFile(shared(t, "reference", "windbg") + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ = bytes.Cut(text, []byte("<<< .effmach x86")) // 32-bit from there on
		names := map[uint64]string{}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			addr, _ := strconv.ParseUint(m[2]+m[3], 16, 64)
			word := m[1]
			for _, before := range []string{"offset ", "ptr ", "call to "} {
				if _, after, ok := strings.Cut(word, before); ok {
					word = after
				}
			}
			if i := strings.LastIndex(word, "  "); i >= 0 {
				word = strings.TrimSpace(word[i:])
			}
			names[addr] = word
		}
		o := Options{Symbol: func(addr uint64) (string, bool) {
			s, ok := names[addr]
			return s, ok
		}}
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			addr, _ := strconv.ParseUint(m[1]+m[2], 16, 64)
			var b []byte
			fmt.Sscanf(m[3], "%x", &b)
			want := m[0][strings.Index(m[0], m[1]+"`"):]
			for _, behind := range []string{"  Branch", " ds:", " ss:"} {
				want, _, _ = strings.Cut(want, behind)
			}
			inst, err := Decode(Mode64, b)
			if err != nil {
				t.Errorf("%s: %s: %v", name, want, err)
				continue
			}
			rows++
			if got := Line(addr, b, &inst, o); got != strings.TrimSpace(want) {
				t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
			}
		}
	}
	if rows < 700 {
		t.Errorf("only %d lines of code", rows)
	}
	t.Logf("%d lines of code", rows)
}
