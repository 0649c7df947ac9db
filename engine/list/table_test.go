package list

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"text/tabwriter"
)

// TestTable compares with the aligner of the standard library, which keeps all.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	words := []string{"", "a", "né", "process", "0xffff9b0466000000", "日本", "x y"}
	for n := range 30 {
		columns := 1 + r.IntN(5)
		var got, want bytes.Buffer
		w := bufio.NewWriter(&got)
		table, std := &tableWriter{w: w}, tabwriter.NewWriter(&want, 0, 0, columnGap, ' ', 0)
		for range n {
			cells := make([]string, columns)
			for i := range cells {
				cells[i] = words[r.IntN(len(words))]
			}
			if err := table.row(cells); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(std, strings.Join(cells, "\t"))
		}
		std.Flush()
		table.flush()
		w.Flush()
		if got.String() != want.String() {
			t.Fatalf("got\n%s\nwant\n%s", got.String(), want.String())
		}
	}
}

// TestLongTable reads a row that does not fit what came before it.
func TestLongTable(t *testing.T) {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	table := &tableWriter{w: w}
	for range tableAhead {
		table.row([]string{"name", "1"})
	}
	w.Flush()
	if n := bytes.Count(out.Bytes(), []byte("name  1\n")); n != tableAhead {
		t.Fatalf("%d rows came out", n)
	}
	out.Reset()
	for _, name := range []string{"a", "longer", "b"} {
		table.row([]string{name, "2"})
	}
	table.flush()
	w.Flush()
	if want := "a     2\nlonger  2\nb       2\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func BenchmarkTable(b *testing.B) {
	table := &tableWriter{w: bufio.NewWriter(io.Discard)}
	cells := []string{"1234", "svchost.exe", "0xffffc58f41034720", "", "0x1f0003", "Event"}
	b.ReportAllocs()
	for b.Loop() {
		if err := table.row(cells); err != nil {
			b.Fatal(err)
		}
	}
}
