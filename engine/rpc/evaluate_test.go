package rpc

import (
	"path/filepath"
	"strings"
	"testing"

	"kdap/internal/truth"
)

// TestEvaluate: watches and hovers take the language of dx, what else ?? takes,
// and MASM; words of a disassembly that are no names give nothing.
func TestEvaluate(t *testing.T) {
	symbols := filepath.Join(truth.Dir(t), "symbols")
	c := dial(t, NewEngine("test"))
	_ = must[OpenResult](t)(c.Open(t.Context(), OpenParams{
		Path: truth.Dump(t, "lab19041"), SymbolPath: symbols, ImagePath: symbols, CacheDir: t.TempDir(),
	}, nil))
	s := must[Context](t)(c.NewSession(t.Context(), NewSessionParams{}))
	crash := must[GroupsResult](t)(c.Groups(t.Context())).Crash
	evaluate := func(e string) (Value, error) {
		return c.Evaluate(t.Context(), EvaluateParams{Session: s.Session, Expression: e, Thread: crash})
	}
	rsp := must[Value](t)(evaluate("@rsp")).Text
	for _, tt := range []struct {
		expression, text, typ string
		opens                 bool
	}{
		{"1 + 2", "3", "", false},
		{"16,x", "0x10", "", false},
		{"@rsp", rsp, "unsigned __int64", false},
		{"rsp", rsp, "unsigned __int64", false},
		{"@@masm(@rsp)", rsp, "unsigned __int64", false},
		{"@rsp + 0`0", rsp, "", false}, // MASM's digits
		{"@$thread", "", "_ETHREAD *", true},
		{"@$curprocess.Threads", "", "", true},
		{"@$cursession.Processes.Count() > 10", "true", "", false},
		{"*(nt!_LIST_ENTRY *)&nt!PsActiveProcessHead", "", "_LIST_ENTRY", true},
		{"sizeof(nt!_LIST_ENTRY)", "0x10", "", false},
		{"KiSwapContext", " : nt!KiSwapContext+0x0", "void *", false},
		{"nt!KiSwapContext", " : nt!KiSwapContext+0x0", "void *", false},
	} {
		v, err := evaluate(tt.expression)
		if err != nil || !strings.HasSuffix(v.Text, tt.text) || tt.typ != "" && v.Type != tt.typ || (v.Ref != 0) != tt.opens {
			t.Errorf("%s: %+v, %v; want %q %q", tt.expression, v, err, tt.text, tt.typ)
		}
	}
	for _, e := range []string{"add", "mov", "dword ptr", "nosuch", "1 +", "", "nt!nosuch"} {
		if v, err := evaluate(e); err == nil {
			t.Errorf("%q is %+v", e, v)
		}
	}
	// What was opened in the session stays what it was when the session moves on.
	threads := must[Value](t)(evaluate("@$curprocess.Threads"))
	before := must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: threads.Ref})).Values
	for _, g := range must[GroupsResult](t)(c.Groups(t.Context())).Groups {
		if len(g.Threads) > 2 {
			_ = must[Value](t)(c.Evaluate(t.Context(), EvaluateParams{Session: s.Session, Expression: "@$curprocess", Thread: g.Threads[2].Thread}))
		}
	}
	after := must[ChildrenResult](t)(c.Children(t.Context(), ChildrenParams{Ref: threads.Ref})).Values
	if len(before) == 0 || len(before) != len(after) || before[0].Text != after[0].Text {
		t.Errorf("threads were %+v, are %+v", before, after)
	}
}
