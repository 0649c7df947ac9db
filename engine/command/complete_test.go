package command

import (
	"context"
	"slices"
	"testing"
)

func TestComplete(t *testing.T) {
	s := labSession(t)
	answer(s, "as procs !process 0 0")
	for _, c := range []struct {
		line  string
		start int
		want  string // one of the items; "" for none
		kind  string
	}{
		{"!for_each_p", 0, "!for_each_process", "command"},
		{".ech", 0, ".echo", "command"},
		{".echo x; .pri", 9, ".printf", "command"},
		{".if (1) { .ech", 10, ".echo", "command"},
		{"pro", 0, "procs", "alias"},
		{"? nt!KiSwapThr", 2, "nt!KiSwapThread", "symbol"},
		{"dt nt!_EPROC", 3, "nt!_EPROCESS", "type"},
		{"dt _ETHR", 3, "_ETHREAD", "type"},
		{"!process 0 0 Poti", 13, "PotionShop.exe", "process"},
		{"lm m i80", 5, "i8042prt!", "module"},
		{"? @$pro", 3, "$proc", "register"},
		{"? @ra", 3, "rax", "register"},
		{"", 0, "", ""},
		{"? nosuch!x", 2, "", ""},
		{"$$><fi", 4, "", ""},
	} {
		start, items := s.Complete(context.Background(), c.line, len(c.line))
		found := slices.ContainsFunc(items, func(i Completion) bool { return i.Text == c.want && i.Kind == c.kind })
		if start != c.start || found != (c.want != "") || c.want == "" && len(items) > 0 {
			t.Errorf("%q: from %d, %d items, %v", c.line, start, len(items), items[:min(len(items), 5)])
		}
		if len(items) > maxCompletions {
			t.Errorf("%q: %d items", c.line, len(items))
		}
	}
}
