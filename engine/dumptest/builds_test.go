package dumptest_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kdap/docs"
	"kdap/engine"
	"kdap/engine/command"
	"kdap/engine/dumptest"
	"kdap/engine/list"
	"kdap/engine/memory"
)

// TestOtherBuild asks two machines that differ in one thing only, where the
// members of the kernel's and the heap's structures lie. Their answers are the
// same, but for addresses of members: nothing leans on one build's layout.
func TestOtherBuild(t *testing.T) {
	roomy, mutated := dumptest.DemoOf("roomy"), dumptest.DemoOf("mutated")
	kinds := dumptest.PDBs | dumptest.ISF | dumptest.Images
	one, other := open(t, roomy, dumptest.Full, kinds), open(t, mutated, dumptest.Full, kinds)
	for _, k := range list.Kinds() {
		t.Run("list "+k.Name, func(t *testing.T) {
			f := list.Filter{Key: `\REGISTRY\MACHINE`}
			a, b := listed(t, one, k, f), listed(t, other, k, f)
			if d := buildDifference(a, b); d != "" {
				t.Error(d)
			}
			if len(a) < 150 && k.Name != "drivers" && k.Name != "devices" { // the demo has none
				t.Errorf("the list is empty:\n%s", a)
			}
		})
	}
	at := dumptest.Counterparts(dumptest.Demo(), roomy)
	for _, p := range docs.Pages() {
		t.Run(p.File, func(t *testing.T) {
			a, b := command.NewSession(one, command.Options{}), command.NewSession(other, command.Options{})
			defer a.Close()
			defer b.Close()
			for l := range strings.Lines(p.Text) {
				line, ok := strings.CutPrefix(strings.TrimRight(l, "\r\n"), "kd> ")
				if !ok {
					continue
				}
				line = moveAddresses(line, at)
				left, right := answer(t, a, line), answer(t, b, line)
				if layoutWords.MatchString(line) {
					continue
				}
				if d := buildDifference(left, right); d != "" {
					t.Errorf("%s: %s", line, d)
				}
			}
		})
	}
}

// layoutWords are commands whose answer is where members lie (dt, dx, …), or
// the bytes of a structure, or what lies at a number of bytes in it.
var layoutWords = regexp.MustCompile(`(^|")(dt|dx|d[abcdqpwfuDy]\w*|!list|!d[fbl]link|!search|!\w+fields|\.sympath)\b`)

func listed(t *testing.T, target *engine.Target, k list.Kind, f list.Filter) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := list.Write(t.Context(), &b, "json", k, target.System, f); err != nil {
		t.Fatal(err)
	}
	return cleaned(b.String())
}

// answer is what a command prints, its failure too.
func answer(t *testing.T, s *command.Session, line string) string {
	var b bytes.Buffer
	err := s.Execute(t.Context(), line, command.Output{Out: &b})
	return cleaned(fmt.Sprintf("%s%v\n", b.String(), err))
}

var (
	folder  = regexp.MustCompile(`\S*/TestOtherBuild\w*/\d+`)
	word    = regexp.MustCompile(`(Flags \()[0-9a-f]+\)`)  // the bits of a word, before their names
	elapsed = regexp.MustCompile(`(?m)^(    Value: )\d+$`) // !analyze says how long it took
)

// cleaned takes out what differs from run to run, and words of bits.
func cleaned(s string) string {
	s = folder.ReplaceAllString(filepath.ToSlash(s), "FOLDER")
	return word.ReplaceAllString(elapsed.ReplaceAllString(s, "${1}0"), "${1})")
}

var (
	address = regexp.MustCompile(`\b(0x)?(ffff[0-9a-f]{4})(` + "`" + `?)([0-9a-f]{8})\b`)
	number  = regexp.MustCompile("0x[0-9a-f]{9,16}|[0-9a-f]{8}`?[0-9a-f]{8}")
)

// moveAddresses turns the demo's addresses in a line into the machines'.
func moveAddresses(line string, at map[uint64]uint64) string {
	return address.ReplaceAllStringFunc(line, func(s string) string {
		m := address.FindStringSubmatch(s)
		va, _ := strconv.ParseUint(m[2]+m[4], 16, 64)
		to, ok := at[va]
		if !ok {
			return s
		}
		text := fmt.Sprintf("%016x", to)
		return m[1] + text[:8] + m[3] + text[8:]
	})
}

// memberDistance is how far two places in one structure can lie apart.
const memberDistance = 0x2000

// buildDifference tells the first difference that the places of members do not
// explain.
func buildDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(left) != len(right) {
		return fmt.Sprintf("%d lines and %d", len(left), len(right))
	}
	for i := range left {
		x, y := number.FindAllString(left[i], -1), number.FindAllString(right[i], -1)
		same := number.ReplaceAllString(left[i], "@") == number.ReplaceAllString(right[i], "@")
		for k := 0; same && k < len(x); k++ {
			same = x[k] == y[k] || near(parse(x[k]), parse(y[k]))
		}
		if !same {
			return fmt.Sprintf("line %d\n%s\n%s", i+1, left[i], right[i])
		}
	}
	return ""
}

// near tells whether two numbers can be the addresses of a structure's members.
func near(a, b uint64) bool { return a > 1<<32 && (a-b < memberDistance || b-a < memberDistance) }

func parse(s string) uint64 {
	v, _ := strconv.ParseUint(strings.TrimPrefix(strings.ReplaceAll(s, "`", ""), "0x"), 16, 64)
	return v
}

// TestSessionsOfBuilds: what a session's structure is called, where its id is
// and whether symbols tell that differs.
func TestSessionsOfBuilds(t *testing.T) {
	for _, relative := range []string{"", "older", "newer"} {
		target := open(t, dumptest.SmallWith(dumptest.Options{Relative: relative}).Finish(), dumptest.Full, dumptest.ISF)
		sessions, err := target.System.Sessions(t.Context())
		if err != nil {
			t.Errorf("%q: %v", relative, err)
		}
		var ids []uint32
		for _, s := range sessions {
			ids = append(ids, s.ID)
		}
		if fmt.Sprint(ids) != "[0 1]" {
			t.Errorf("%q: sessions %v, want [0 1]", relative, ids)
		}
	}
}

// TestSelfMapOfBuilds reads every entry that leads to a page at the address
// where the kernel maps it, with four levels of page tables and with five.
func TestSelfMapOfBuilds(t *testing.T) {
	for name, d := range map[string]*dumptest.Dump{"four": dumptest.Corners(), "five": dumptest.CornersLA57()} {
		sys := open(t, d, dumptest.Full, dumptest.PDBs).System
		va := sys.KDBG().PsActiveProcessHead
		way, err := sys.PTEWay(sys.TablesAt(d.Truth().DTB), va)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, e := range way {
			v, err := memory.ReadUint(sys.Kernel(), sys.EntryAddress(va, e.Level), 8)
			if err != nil || v != e.Value {
				t.Errorf("%s levels, level %d: %#x at %#x (%v), want %#x", name, e.Level, v, sys.EntryAddress(va, e.Level), err, e.Value)
			}
		}
		if back, ok := sys.PTEAddress(sys.EntryAddress(va, 0)); !ok || back != va&^0xfff {
			t.Errorf("%s: back to %#x, %v", name, back, ok)
		}
	}
}
