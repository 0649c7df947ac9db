package rpc

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/dumptest/demo"
	"kdap/internal/truth"
)

// TestExpressionsDemo and TestExpressionsLab: what a tree of values shows, its
// expression gives again: text, type, place, what is below.
func TestExpressionsDemo(t *testing.T) {
	dump, symbols, err := demo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, NewEngine("test"))
	_ = must[OpenResult](t)(c.Open(t.Context(), OpenParams{Path: dump, SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir()}, nil))
	checkExpressions(t, c, 4, 2000)
}

func TestExpressionsLab(t *testing.T) {
	symbols := filepath.Join(truth.Dir(t), "symbols")
	c := dial(t, NewEngine("test"))
	_ = must[OpenResult](t)(c.Open(t.Context(), OpenParams{
		Path: truth.Dump(t, "lab19041"), SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir(),
	}, nil))
	checkExpressions(t, c, 3, 2500)
}

// checkExpressions walks the scopes of the crashing thread's first frames and
// of another process's thread, level by level.
func checkExpressions(t *testing.T, c *Client, frames, limit int) {
	t.Helper()
	s := must[Context](t)(c.NewSession(t.Context(), NewSessionParams{}))
	groups := must[GroupsResult](t)(c.Groups(t.Context()))
	names := []Thread{groups.Crash, groups.Crash}
	for _, g := range groups.Groups {
		if len(g.Threads) > 0 && g.PID != nil && *g.PID > 4 {
			names[1] = g.Threads[0].Thread // the last process: one of users
		}
	}
	compared := map[string]int{}
	for _, name := range names {
		st := must[StackResult](t)(c.Stack(t.Context(), StackParams{Thread: name}))
		for n := range max(1, min(frames, st.Total)) {
			f := FrameParams{Thread: name, Frame: n}
			scopes := must[ScopesResult](t)(c.Scopes(t.Context(), ScopesParams{f, s.Session})).Scopes
			for _, sc := range scopes {
				w := expressionWalk{t: t, c: c, frame: f, session: s.Session, left: limit / len(scopes)}
				w.walk(sc.Value)
				compared[sc.Name] += w.compared
			}
		}
	}
	t.Logf("compared: %v", compared)
	for _, scope := range []string{"Registers", "Thread", "TEB", "Process", "PEB", "Debugger"} {
		if compared[scope] < 10 {
			t.Errorf("%s: only %d values were compared", scope, compared[scope])
		}
	}
}

type expressionWalk struct {
	t              *testing.T
	c              *Client
	frame          FrameParams
	session        uint64
	left, compared int
}

func (w *expressionWalk) walk(top Value) {
	w.t.Helper()
	for queue := []Value{top}; len(queue) > 0 && w.left > 0; queue = queue[1:] {
		for _, v := range must[ChildrenResult](w.t)(w.c.Children(w.t.Context(), ChildrenParams{Ref: queue[0].Ref, Count: 300})).Values {
			if w.left--; v.Expression != "" {
				w.check(v)
			}
			if v.Ref != 0 {
				queue = append(queue, v)
			}
		}
	}
}

func (w *expressionWalk) check(v Value) {
	w.t.Helper()
	again, err := w.c.Evaluate(w.t.Context(), EvaluateParams{Session: w.session, Expression: v.Expression, Thread: w.frame.Thread, Frame: w.frame.Frame})
	w.compared++
	switch {
	case err != nil && v.Unreadable && v.Address == 0:
	case err != nil:
		w.t.Errorf("frame %d: %s: %v; the tree has %q", w.frame.Frame, v.Expression, err, v.Text)
	case strings.HasPrefix(v.Expression, "@") && v.Kind == "data":
		want, err1 := strconv.ParseUint(v.Text, 0, 64)
		got, err2 := strconv.ParseUint(again.Text, 0, 64)
		if err1 != nil || err2 != nil || want != got {
			w.t.Errorf("frame %d: %s is %q, the tree has %q", w.frame.Frame, v.Expression, again.Text, v.Text)
		}
	default:
		want := fmt.Sprint(v.Text, "|", v.Type, "|", v.Address, "|", v.Named, "|", v.Indexed, "|", v.Ref != 0, "|", v.Unreadable)
		got := fmt.Sprint(again.Text, "|", again.Type, "|", again.Address, "|", again.Named, "|", again.Indexed, "|", again.Ref != 0, "|", again.Unreadable)
		if got != want {
			w.t.Errorf("frame %d: %s:\n %s, the tree has\n %s", w.frame.Frame, v.Expression, got, want)
		}
	}
}
