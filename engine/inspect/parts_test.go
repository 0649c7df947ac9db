package inspect

import (
	"context"
	"testing"

	"kdap/engine/model"
)

// TestWalked: what has to be walked to be counted is walked as far as it is
// shown, and the last line goes on.
func TestWalked(t *testing.T) {
	const all = 2*maxWalked + 7
	taken := 0
	box := model.Numbered(func(_ context.Context, yield func(v model.Value) bool) error {
		for i := range uint64(all) {
			if taken++; !yield(model.U64(i)) {
				return nil
			}
		}
		return nil
	})
	v := &Viewer{Machine: model.NewView(plain{})}
	n := v.Value(t.Context(), "box", "box", box)
	if named, indexed := n.Size(t.Context()); !n.Open() || named != 0 || indexed != 0 || taken != 0 {
		t.Errorf("size %d, %d, %d taken", named, indexed, taken)
	}
	var texts []string
	for rounds := 1; n.Open(); rounds++ {
		taken = 0
		nodes, err := n.Children(t.Context(), Both, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if taken > rounds*maxWalked+1 {
			t.Errorf("round %d took %d elements", rounds, taken)
		}
		n = Node{}
		for _, c := range nodes {
			if c.Name == "[...]" {
				n = c
				continue
			}
			if c.Expr != "box"+c.Name || c.Name != "["+c.Text+"]" {
				t.Errorf("%+v", c)
			}
			texts = append(texts, c.Text)
		}
	}
	if len(texts) != all || texts[all-1] != "0xce" {
		t.Errorf("%d elements were shown: %v", len(texts), texts)
	}
	page, err := v.Value(t.Context(), "box", "box", box).Children(t.Context(), Indexed, 150, 2)
	if err != nil || len(page) != 2 || page[1].Name != "[0x97]" {
		t.Errorf("a page: %+v, %v", page, err)
	}
}

// TestSameKeys: an element that shares its key with one before is named by its place.
func TestSameKeys(t *testing.T) {
	box := model.Container(func(_ context.Context, yield func(k, v model.Value) bool) error {
		for i := range uint64(4) {
			yield(model.U64(i/2), model.U64(i))
		}
		return nil
	})
	v := &Viewer{Machine: model.NewView(plain{})}
	nodes, err := v.Value(t.Context(), "b", "*b", box).Children(t.Context(), Both, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"(*b)[0x0]", "(*b).Skip(1).First()", "(*b)[0x1]", "(*b).Skip(3).First()"} {
		if nodes[i].Expr != want {
			t.Errorf("element %d: %s, want %s", i, nodes[i].Expr, want)
		}
	}
}

func TestPostfix(t *testing.T) {
	for e, want := range map[string]string{
		"a": "a", "a.b->c[1+2].d": "a.b->c[1+2].d", "@$curprocess": "@$curprocess", "nt!x": "nt!x", "f(a, b)": "f(a, b)",
		"(*(nt!_X *)0x1)": "(*(nt!_X *)0x1)", "*p": "(*p)", "&a": "(&a)", "(nt!_X *)0x1": "((nt!_X *)0x1)", "a - b": "(a - b)",
		"a-b": "(a-b)", "a>b": "(a>b)", "x ? y : z": "(x ? y : z)", "(a)->b": "(a)->b", "": "",
	} {
		if got := postfix(e); got != want {
			t.Errorf("postfix(%q) = %q, want %q", e, got, want)
		}
	}
}
