package expr

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/internal/truth"
)

// The tests of this file replay blocks of the recorded WinDbg sessions. What
// the record's own environment held (the addresses of symbols, the values of
// registers) is learnt from its plainest blocks, "? name"; all others check the
// evaluators.

type block struct {
	command string
	lines   []string
}

// record reads a recorded session, or skips the test where there is none.
func record(t *testing.T, name string) []block {
	t.Helper()
	f, err := os.Open(filepath.Join(truth.Dir(t), "reference", "windbg", name))
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
		case !hresult.MatchString(line):
			cur.lines = append(cur.lines, strings.TrimRight(line, " "))
		}
	}
	return out
}

var (
	plainName   = regexp.MustCompile(`^\? ([@$A-Za-z_][\w$!.:]*)$`)
	hexDigits   = regexp.MustCompile("^[0-9a-fA-F]+[hH]?$")
	machineName = regexp.MustCompile(`^(?i)([re]?[abcd]x|[abcd][lh]|[re]?(ip|sp|bp|si|di)|spl|r\d+[dwb]?|[cdefgs]s|efl|zf|iopl|cr\d|dr\d|gdtr|xmm\d+|st\d|mm\d|mxcsr)$`)
	hresult     = regexp.MustCompile(`^HRESULT [0-9a-f]{8}$`)
	entryPoint  = regexp.MustCompile(`^\? \$iment\((\w+)\)$`)
)

// learn builds the environment a record was made in.
func learn(t *testing.T, blocks []block) *testEnv {
	env := &testEnv{
		radix: 16, registers: map[string]Register{}, symbols: map[string]Symbol{}, space: testSpace{},
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
	env.symbols["nt"] = Symbol{Name: "nt", Addr: env.symbols["ntkrnlmp"].Addr, IsModule: true}
	env.registers["ah"] = Register{}
	for _, b := range blocks {
		v, ok := answer(b)
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
	f, err := os.Open(filepath.Join(truth.Dir(t), "reference", "windbg", "lab", "x-all.txt.xz"))
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
