package expr

import (
	"bufio"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/engine/format"
)

// The tests of this file replay blocks of the recorded WinDbg sessions. What
// the record's own environment held (the addresses of symbols, the values of
// registers, a little memory) is learnt from its plainest blocks, "? name" and
// "? poi(name)"; all others check the evaluator.

type block struct {
	command string
	lines   []string
}

// record reads a recorded session, or skips the test where there is none.
func record(t *testing.T, name string) []block {
	t.Helper()
	f, err := os.Open(filepath.Join(shared(t), "reference", "windbg", name))
	if err != nil {
		t.Skip("no recorded sessions: ", err)
	}
	defer f.Close()
	var out []block
	var cur *block
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimRight(s.Text(), "\r")
		switch {
		case cur == nil && strings.HasPrefix(line, "<<< "):
			cur = &block{command: line[4:]}
		case cur == nil:
		case line == ">>>":
			out = append(out, *cur)
			cur = nil
		case !strings.HasPrefix(line, "HRESULT "):
			cur.lines = append(cur.lines, strings.TrimRight(line, " "))
		}
	}
	return out
}

func shared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("KDAP_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared")
		}
		if filepath.Dir(dir) == dir {
			t.Skip("not in the source tree")
		}
		dir = filepath.Dir(dir)
	}
}

var (
	plainName   = regexp.MustCompile(`^\? ([@$A-Za-z_][\w$!.:]*)$`)
	plainMemory = regexp.MustCompile(`^\? (poi|qwo|dwo) ?\(?(.+?)\)?$`)
	hexDigits   = regexp.MustCompile("^[0-9a-fA-F]+[hH]?$")
	machineName = regexp.MustCompile(`^(?i)([re]?[abcd]x|[abcd][lh]|[re]?(ip|sp|bp|si|di)|spl|r\d+[dwb]?|[cdefgs]s|efl|zf|iopl|cr\d|dr\d|gdtr|xmm\d+|st\d|mm\d|mxcsr)$`)
	entryPoint  = regexp.MustCompile(`^\? \$iment\((\w+)\)$`)
)

// learn builds the environment a record was made in.
func learn(t *testing.T, blocks []block) *testEnv {
	env := &testEnv{
		radix: 16, registers: map[string]Register{}, symbols: map[string]Symbol{},
		space: testSpace{}, physical: testPages{1: make([]byte, 4096), 0x1ad: make([]byte, 4096)},
	}
	for _, name := range [...]string{"$retreg", "$frame", "$callret", "$t0", "$t1", "$t9", "$t10", "$t19"} {
		env.registers[name] = Register{}
	}
	for _, b := range blocks {
		v, ok := answer(b)
		if m := plainName.FindStringSubmatch(b.command); ok && m != nil && !hexDigits.MatchString(m[1]) {
			name := strings.ToLower(strings.TrimPrefix(m[1], "@"))
			if strings.HasPrefix(name, "$") || machineName.MatchString(name) {
				if _, known := env.registers[name]; !known {
					env.registers[name] = Register{Bits: v}
				}
				continue
			}
			name = strings.TrimPrefix(strings.Replace(name, ":", "!", 1), "!")
			env.symbols[name] = Symbol{Name: name, Addr: v, IsModule: !strings.Contains(name, "!")}
		}
	}
	for name, addr := range allSymbols(t) {
		if _, ok := env.symbols[name]; !ok {
			env.symbols[name] = Symbol{Name: name, Addr: addr}
		}
	}
	image := make([]byte, 0x1000)
	nt := env.symbols["ntkrnlmp"].Addr
	env.symbols["nt"] = Symbol{Name: "nt", Addr: nt, IsModule: true}
	env.registers["ah"] = Register{}
	for _, b := range blocks {
		v, ok := answer(b)
		if m := plainMemory.FindStringSubmatch(b.command); ok && m != nil {
			if addr, err := Masm(env, NewCursor(m[2])); err == nil && addr == nt {
				if m[1] == "qwo" {
					binary.LittleEndian.PutUint64(image, v)
				}
				env.space[nt] = image
			} else if _, known := env.space.byteAt(addr); err == nil && !known {
				env.space[addr] = binary.LittleEndian.AppendUint64(nil, v)
			}
		}
		if m := entryPoint.FindStringSubmatch(b.command); ok && m != nil {
			base, entry, was := env.symbols[strings.ToLower(m[1])].Addr, v, env.entry
			env.entry = func(a uint64) (uint64, bool) {
				if base != 0 && a-base < 0x1000000 {
					return entry, true
				}
				if was != nil {
					return was(a)
				}
				return 0, false
			}
		}
	}
	return env
}

// allSymbols reads the addresses of the kernel's symbols from the record of x.
func allSymbols(t *testing.T) map[string]uint64 {
	t.Helper()
	f, err := os.Open(filepath.Join(shared(t), "reference", "windbg", "lab", "x-all.txt.xz"))
	if err != nil {
		t.Skip("no recorded symbols: ", err)
	}
	defer f.Close()
	r, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for s := bufio.NewScanner(r); s.Scan(); {
		addr, rest, _ := strings.Cut(s.Text(), " ")
		v, err := strconv.ParseUint(strings.ReplaceAll(addr, "`", ""), 16, 64)
		if name := strings.Fields(rest); err == nil && len(name) > 0 {
			out[strings.ToLower(name[0])] = v
		}
	}
	return out
}

func answer(b block) (uint64, bool) {
	if len(b.lines) == 0 || !strings.HasPrefix(b.lines[len(b.lines)-1], "Evaluate expression: ") {
		return 0, false
	}
	_, hex, _ := strings.Cut(b.lines[len(b.lines)-1], "= ")
	v, err := strconv.ParseUint(strings.ReplaceAll(hex, "`", ""), 16, 64)
	return v, err == nil
}

// evaluateLine answers a line of ? commands the way the interpreter does.
func evaluateLine(env *testEnv, line string) []string {
	var out []string
	env.out.Reset()
	add := func(text string) { out = append(out, strings.TrimRight(text, " ")) }
	c := NewCursor(line)
	for {
		c.SkipBlanks()
		c.Accept("?")
		v, err := Default(env, c)
		for l := range strings.Lines(env.out.String()) {
			add(strings.TrimRight(l, "\n"))
		}
		env.out.Reset()
		if err == nil {
			add(format.Evaluate(v))
			err = c.Extra()
		}
		if err != nil {
			add(errorLine(err, line))
			return out
		}
		if c.at(0) != ';' {
			return out
		}
		c.Pos++
	}
}

func errorLine(err error, line string) string {
	e, ok := err.(*Error)
	if !ok {
		return "not an expression error: " + err.Error()
	}
	if e.Form == CaretForm {
		return strings.Repeat(" ", len("0: kd> ")+e.Pos) + "^ " + e.Text + " in '" + line + "'"
	}
	return e.Error()
}

func TestRecordMasm(t *testing.T) {
	for _, file := range []string{"lab/expressions-masm.txt"} {
		blocks := record(t, file)
		env := learn(t, blocks)
		checked := 0
		for _, b := range blocks {
			if !strings.HasPrefix(b.command, "?") || strings.Contains(b.command, "`po") && !strings.Contains(b.command, "c:") {
				continue
			}
			want := b.lines
			for len(want) > 0 && strings.HasPrefix(want[0], "WARNING: Line") {
				want = want[1:]
			}
			checked++
			if got := evaluateLine(env, b.command); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s: %s\n got %q\nwant %q", file, b.command, got, want)
			}
		}
		t.Logf("%s: %d of %d blocks checked", file, checked, len(blocks))
	}
}
