package command

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kdap/engine/dumptest/demo"
)

// A countdown is a context that is cancelled when it was asked often enough:
// what runs under it has begun, at whatever speed the machine has.
type countdown struct {
	context.Context
	left   atomic.Int64
	cancel context.CancelFunc
}

func newCountdown(parent context.Context, asks int64) *countdown {
	c := &countdown{}
	c.Context, c.cancel = context.WithCancel(parent)
	c.left.Store(asks)
	return c
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// endlessLines would never end, or not for long; each is stopped somewhere in
// its middle.
var endlessLines = []string{
	".while (1) { }", ".do { .continue } (1)", ".for (;1;) { .if (1) { .echo x } }", ".echo x;z(1)", ".sleep 0n1000000",
	".while (1) { .foreach /s (x \"a b\") { .catch { foo } } }",
	".foreach (x { x nt!* }) { .foreach (y { x nt!* }) { .foreach (z { x nt!* }) { .echo ${x}${y}${z} } } }",
	"!for_each_process \"!for_each_process \\\"!process @#Process 1f\\\"\"", "!for_each_thread \"!for_each_thread \\\"k\\\"\"",
	"!for_each_module \"!for_each_module \\\".while (1) { }\\\"\"",
	"dS nt L?ffffff", "dyb nt L?ffffff", "dl nt!PsActiveProcessHead ffffffffffffffff ffffffff", "u nt L?ffffffff", "# zzz nt L?ffffffff",
	"dt nt!_EPROCESS[ffffffff] @$proc", "dx -u -r10000 @$cursession", "dx -r10000 Debugger", "!pte 0 ffffffffffffffff", "!search 0",
	"!list -t nt!_LIST_ENTRY.Flink -x \".while (1) { }\" nt!PsActiveProcessHead", "!grep x .while (1) { .echo y }", "!head .while (1) { .echo y }",
	".process /p @$proc;!for_each_process \".process /p /r @#Process;.while (1) { }\"", ".thread @$thread;!for_each_thread \".thread @#Thread;.while (1) { }\"",
	"~*e .while (1) { }", ".push;.while (1) { }",
}

// TestEndlessLinesAreStopped: a line that is cancelled ends, says so, and
// leaves the session where it was.
func TestEndlessLinesAreStopped(t *testing.T) {
	s := demoSession(t)
	before := s.scope
	for _, line := range endlessLines {
		for _, asks := range []int64{3, 100} {
			ctx := newCountdown(t.Context(), asks)
			time.AfterFunc(50*time.Millisecond, ctx.cancel) // some wait instead of asking
			done := make(chan error, 1)
			go func() { done <- s.Execute(ctx, line, Output{Out: &countingWriter{}}) }()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrFailed) && err != nil {
					t.Errorf("%s: %v", line, err)
				}
			case <-time.After(patience):
				t.Fatalf("%s: does not end", line)
			}
			if n := len(s.interp.locals) + s.interp.loops + s.interp.catches + s.interp.nesting; n != 0 {
				t.Errorf("%s: the interpreter is still inside something: %+v", line, s.interp)
			}
			if s.scope.process.Addr() != before.process.Addr() || s.scope.thread.Addr() != before.thread.Addr() || s.scope.cpu != before.cpu || s.scope.memory.Addr() != before.memory.Addr() {
				t.Errorf("%s: the context is another: process %x, thread %x, processor %d", line, s.scope.process.Addr(), s.scope.thread.Addr(), s.scope.cpu)
				s.scope = before
			}
		}
	}
}

// TestDeepAndLongLines: text that nests or repeats without end is answered, at
// once and by every command.
func TestDeepAndLongLines(t *testing.T) {
	s := demoSession(t)
	commands := []string{
		"", "? ", "?? ", "dx ", "dd ", "u ", "x ", "dt ", "dt nt!_EPROCESS ", "s -a nt L100 ", "!list -x ", ".printf ", ".foreach ", ".if ", ".for ", ".while ", "j ",
		"as a ", "aS /x b ", ".block ", ".catch ", "!grep ", "ln ", ".formats ", "k = ", "r @$t0=", "!process 0 7 ", "lm m ", "!reg q ", "!object ", "!for_each_module ", "~", "|",
		"!stacks 2 ", "!us ", "!tl ", ".hh ", "!analyze ", "!for_each_function -m:", "dv ", "da ", "!address ", "!ustr ", ".reload ", ".sympath ",
	}
	for _, unit := range []string{
		"(", "{", "\"", "-", "poi(", "${", "@@(", "a->", ".block { ", ".foreach (x {", "(x => ", "x*?", "1+", ".Select(x=>",
	} {
		deep := strings.Repeat(unit, 10000)
		for _, c := range commands {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			var p *Panic
			if err := s.Execute(ctx, c+deep, Output{Out: &countingWriter{}}); errors.As(err, &p) {
				t.Errorf("%s%s…: %v\n%s", c, unit, p, p.Stack)
			} else if ctx.Err() != nil {
				t.Errorf("%s%s…: no end", c, unit)
			}
			cancel()
		}
	}
	for _, c := range commands {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := s.Execute(ctx, c+strings.Repeat("ab (", 1<<18), Output{Out: &countingWriter{}}); ctx.Err() != nil {
			t.Errorf("%s, a line of 1 MB: %v", c, err)
		}
		cancel()
	}
}

// TestDamagedBytes turns words of the demo dump's pages into other ones, the
// same ones in every run, and reads all there is. A longer run of the same
// found what is in the tests of the readers.
func TestDamagedBytes(t *testing.T) {
	path, symbols, err := demo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := append(manualLines(t), damagedLines...)
	for seed := range uint64(4) {
		b := append([]byte(nil), whole...)
		damageWords(b, rand.New(rand.NewPCG(seed, 1)), 400)
		broken := filepath.Join(t.TempDir(), "broken.dmp")
		if err := os.WriteFile(broken, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d := damage{t, broken, openWithDemoSymbols(t, broken, symbols)}
		d.lists()
		d.lines(lines)
	}
}

// damageWords changes n words of the pages that hold something: to what other
// words are, to all ones, to a place nearby.
func damageWords(b []byte, rng *rand.Rand, n int) {
	const header, page = 0x2000, 0x1000
	var used []int
	for off := header; off+page <= len(b); off += page {
		if strings.Trim(string(b[off:off+page]), "\x00") != "" {
			used = append(used, off)
		}
	}
	word := func() []byte {
		for {
			at := used[rng.IntN(len(used))] + 8*rng.IntN(page/8)
			if binary.LittleEndian.Uint64(b[at:]) != 0 {
				return b[at : at+8]
			}
		}
	}
	for range n {
		w := word()
		switch v := binary.LittleEndian.Uint64(w); rng.IntN(5) {
		case 0:
			copy(w, word())
		case 1:
			binary.LittleEndian.PutUint64(w, ^uint64(0))
		case 2:
			binary.LittleEndian.PutUint32(w, 0xffffffff)
		case 3:
			binary.LittleEndian.PutUint64(w, v+8*uint64(rng.IntN(64))-256)
		default:
			binary.LittleEndian.PutUint16(w, uint16(rng.Uint32()))
		}
	}
}
