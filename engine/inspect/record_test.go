package inspect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/engine"
	"kdap/engine/memory"
	"kdap/engine/model"
	"kdap/engine/types"
	"kdap/internal/truth"
)

// dtCommand is a recorded dt of a whole kernel structure, dtLine one member.
var (
	dtCommand = regexp.MustCompile(`^<<< dt nt!(\w+) (0x[0-9a-f]+)$`)
	dtLine    = regexp.MustCompile(`^   \+0x[0-9a-f]{3,} (\S+) +: (.*)$`)
)

// TestValuesAsDt compares the values of members with what WinDbg's dt printed of
// the same structures (reference/windbg/lab/dt-objects.txt): numbers, bit
// fields and pointers by their value, strings and lists by their text. Where
// WinDbg has ?? a node has the reason.
func TestValuesAsDt(t *testing.T) {
	f, err := os.Open(truth.Path(t, "reference", "windbg", "lab", "dt-objects.txt.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	symbols := filepath.Join(truth.Dir(t), "symbols")
	target, err := engine.Open(t.Context(), truth.Dump(t, "lab19041"), engine.Options{SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	v := &Viewer{Machine: model.NewView(plain{}), Kernel: target.System.Type}
	var members map[string][]Node
	compared := 0
	lines := bufio.NewScanner(io.LimitReader(z, 64<<20))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := dtCommand.FindStringSubmatch(line); m != nil {
			members = nodesOf(t, v, target.System.Struct(m[1], mustParse(t, m[2])))
			continue
		}
		m := dtLine.FindStringSubmatch(line)
		if line == ">>>" || m == nil || members == nil {
			if line == ">>>" {
				members = nil
			}
			continue
		}
		nodes := members[m[1]]
		if len(nodes) == 0 {
			t.Errorf("no member %s", m[1])
			continue
		}
		n := nodes[0] // names of unnamed unions' members may come twice
		members[m[1]] = nodes[1:]
		if want, ok := comparable(m[2]); ok {
			compared++
			if got := strings.Join(strings.Fields(n.Text), " "); !agrees(got, want, n) {
				t.Errorf("%s at %#x: %q, dt prints %q", m[1], n.Addr, n.Text, m[2])
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values compared", compared)
	if compared < 5000 {
		t.Errorf("only %d values were compared", compared)
	}
}

func mustParse(t *testing.T, s string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func nodesOf(t *testing.T, v *Viewer, o types.Object) map[string][]Node {
	t.Helper()
	nodes, err := v.Object(t.Context(), "o", "o", o).Children(t.Context(), Named, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]Node{}
	for _, n := range nodes {
		out[n.Name] = append(out[n.Name], n)
	}
	return out
}

// heads are the structures of which both show the same text.
var heads = []string{"_LIST_ENTRY", "_LARGE_INTEGER", "_ULARGE_INTEGER", "_UNICODE_STRING"}

// comparable returns what of dt's text a tree has too; false where it has
// something else.
func comparable(text string) (string, bool) {
	text = strings.Join(strings.Fields(text), " ")
	for _, h := range heads {
		if value, ok := strings.CutPrefix(text, h+" "); ok {
			return value, true
		}
	}
	if strings.HasPrefix(text, "[") {
		return text, strings.Contains(text, `"`)
	}
	_, ok := valueOf(text)
	return text, ok || strings.HasPrefix(text, "?")
}

// dtNumber is a number at the beginning of dt's texts.
var dtNumber = regexp.MustCompile("^(?:0n)?(-?[0-9]+|0x[0-9a-f`]+|0y[01]+)(?: |$)")

// valueOf returns the number that a text of dt or dx begins with, or that
// stands in brackets behind an enumerator.
func valueOf(text string) (int64, bool) {
	switch {
	case text == "(null)":
		return 0, true
	case strings.HasSuffix(text, " )"): // 5 ( Name )
		text = "0x" + text
	}
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, ")") && !strings.HasPrefix(text, "0") {
		text = text[i+2 : len(text)-1] // Name (5)
	}
	m := dtNumber.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	digits := strings.ReplaceAll(m[1], "`", "")
	if b, ok := strings.CutPrefix(digits, "0y"); ok {
		digits = "0b" + b
	}
	if v, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return v, true
	}
	v, err := strconv.ParseUint(digits, 0, 64)
	return int64(v), err == nil
}

func agrees(got, want string, n Node) bool {
	if strings.HasPrefix(want, "??") || strings.Contains(want, "memory read error") {
		return n.Unreadable || strings.Contains(got, "<")
	}
	if i := strings.Index(want, "???"); i >= 0 { // characters that dt does not print
		return strings.HasPrefix(got, want[:i])
	}
	if w, ok := valueOf(want); ok {
		g, ok := valueOf(got)
		return ok && (g == w || n.Type == "char" && int8(g) == int8(w)) // a signed number has no sign in hexadecimal
	}
	return got == want || strings.HasPrefix(want, "[") && strings.HasSuffix(want, " "+got)
}

// plain are surroundings without symbols.
type plain struct{}

func (plain) CodeName(_ context.Context, va uint64) string { return fmt.Sprintf("%#x", va) }
func (plain) Settings() *model.Settings                    { return &model.Settings{Radix: 16, RecursionDepth: 1} }

// broken is memory in which nothing can be read.
type broken struct{}

func (broken) Read(va uint64, _ []byte) (int, error) {
	return 0, &memory.ReadError{Addr: va, Kind: memory.PageFile, PageFile: 2, PageFileOffset: 0x717}
}

// TestUnreadable: every kind of value says why it cannot be had.
func TestUnreadable(t *testing.T) {
	char := &types.Type{Kind: types.Char, Name: "char", Size: 1}
	number := &types.Type{Kind: types.Uint, Name: "unsigned long", Size: 4}
	pointer := (&types.Type{Kind: types.Pointer, Size: 8}).NewLazy(func(l *types.Lazy) { l.Elem = number })
	text := (&types.Type{Kind: types.Array, Size: 8, Count: 8}).NewLazy(func(l *types.Lazy) { l.Elem = char })
	structure := (&types.Type{Kind: types.Struct, Name: "_S", Size: 8}).NewLazy(func(l *types.Lazy) {
		l.Fields = []types.Field{{Name: "a", Type: number}, {Name: "b", Offset: 4, Type: number}}
	})
	v := &Viewer{Machine: model.NewView(plain{})}
	for _, typ := range []*types.Type{char, number, pointer, text, structure} {
		n := v.Object(t.Context(), "n", "n", types.NewObject(broken{}, typ, 0x1000))
		if !n.Unreadable || !strings.Contains(n.Text, "paged out to page file 2, offset 0x717") {
			t.Errorf("%v: %+v", typ, n)
		}
	}
	if n := v.Object(t.Context(), "n", "", types.Failed(errors.New("no such thing"))); !n.Unreadable || n.Text != "<no such thing>" {
		t.Errorf("an object that is none: %+v", n)
	}
}

// TestPages: members and elements come in the pages asked for, whatever is asked.
func TestPages(t *testing.T) {
	number := &types.Type{Kind: types.UChar, Name: "unsigned char", Size: 1}
	array := (&types.Type{Kind: types.Array, Size: 1 << 40, Count: 1 << 40}).NewLazy(func(l *types.Lazy) { l.Elem = number })
	n := (&Viewer{Machine: model.NewView(plain{})}).Object(t.Context(), "a", "a", types.NewObject(broken{}, array, 0))
	named, indexed := n.Size(t.Context())
	if named != 0 || indexed != maxElements {
		t.Errorf("size %d, %d", named, indexed)
	}
	for _, tt := range []struct {
		filter       Filter
		start, count int
		want         int
		first        string
	}{
		{Both, 0, 3, 3, "[0]"},
		{Indexed, 7, 2, 2, "[7]"},
		{Both, -5, 1, 1, "[0]"},
		{Both, maxElements - 1, 10, 1, "[16777215]"},
		{Both, maxElements, 10, 0, ""},
		{Named, 0, 10, 0, ""},
		{Both, 0, 0, MaxPage + 1, "[0]"}, // the last line opens the others
		{Both, 0, 1 << 30, MaxPage, "[0]"},
	} {
		nodes, err := n.Children(t.Context(), tt.filter, tt.start, tt.count)
		if err != nil || len(nodes) != tt.want || tt.want > 0 && nodes[0].Name != tt.first {
			t.Errorf("%+v: %d nodes, %v", tt, len(nodes), err)
		}
	}
}
