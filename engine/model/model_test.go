package model

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestExpressions has expressions with their first line as WinDbg's engine
// shows it (dx-expr, dx-linq of the record) or as C's rules give it.
func TestExpressions(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"1 + 2 * 3", "7"},
		{"-7 / 2", "-3"},
		{"-7 % 3", "-1"},
		{"1 << 40", "256"},
		{"1ull << 40", "0x10000000000"},
		{"0x7fffffff + 1", "-2147483648"},
		{"1u - 2", "0xffffffff"},
		{"(int)-1 > 1u", "true"},
		{"1 ? 2 : 3", "2"},
		{"(1, 2)", "2"},
		{"255,o", "0377"},
		{"-5,x", "0xfffffffb"},
		{"65,c", "65 'A'"},
		{"1.5 * 2", "3.000000"},
		{"\"abc\" + 1.5", "abc1.5"},
		{"\"abc\".Substring(1).ToUpper()", "BC"},
		{"sizeof(Pair)", "0x8"},
		{"sizeof(int*)", "0x8"},
		{"pair.a", "0x7 [Type: unsigned int]"},
		{"pair.b", "-1 [Type: int]"},
		{"p->b + 1", "0"},
		{"(*p).a", "0x7 [Type: unsigned int]"},
		{"p[0].a", "0x7 [Type: unsigned int]"},
		{"p", "0x10000 [Type: Pair *]"},
		{"&pair", "0x10000 [Type: Pair *]"},
		{"&pair.b", "0x10004 : -1 [Type: int *]"},
		{"(char*)text", `0x10010 : "abc" [Type: char *]`},
		{"text", `"abc" [Type: char [8]]`},
		{"text,sb", "abc [Type: char [8]]"},
		{"text[1]", "98 'b' [Type: char]"},
		{"*(short(*)[2])&pair,2", "[Type: short [2]]"},
		{"Names.Count()", "0x3"},
		{"Names.Where(n => n.Contains(\"o\")).Count()", "0x2"},
		{"Names.OrderBy(n => n).First()", "one"},
		{"Names.Select(n => n.Length).Sum()", "0xb"},
		{"Names.Aggregate(\"\", (a, n) => a + n)", "onetwothree"},
		{"Names[1]", "two"},
		{"(x => x * 2)(4)", "8"},
		{"((a, b) => a + b)(1, 2)", "3"},
		{"new { A = 1, B = 2 }.B", "2"},
	} {
		got, _, _ := strings.Cut(show(newTestHost(), tt.text, Options{Skip: -1}), "\n")
		sep := " : "
		if strings.HasPrefix(tt.want, "[") {
			sep = " "
		}
		if want := strings.TrimSpace(pad16(tt.text)) + sep + tt.want; strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s: got %q, want %q", tt.text, got, want)
		}
	}
}

// TestErrors has what the record's errors say.
func TestErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"1 +", "Expected expression at end of expression"},
		{"(", "Expected ')' at end of expression"},
		{"1 2", "Unexpected token at '2'"},
		{"1i64", "Unexpected token at 'i64'"},
		{"5.Foo", "Unexpected token at 'oo'"},
		{"(5).Foo", "Unable to bind name 'Foo'"},
		{"p.a", "-> must be used on pointers and . on structures"},
		{"pair->a", ""},
		{"1/0", "Illegal division by zero"},
		{"*5", "Unable to dereference non pointer object"},
		{"&5", "Unable to take address of object"},
		{"5[0]", "Object does not support indexing with []"},
		{"@$x", "Use of undefined variable"},
		{"(unsigned)5", "Expected ')' at '5'"},
		{"(Nope*)0", "Unable to find type 'Nope *' for cast."},
		{"(n!X*)0", "Unable to find module 'n' for qualified type lookup."},
		{"n!x", "Unable to find module 'n' for qualified name lookup"},
		{"*(int*)0x10", "Unable to read memory at Address 0x10"},
		{"Names.Where()", "Invalid number of arguments to method 'Where'"},
		{"Names.Take(-1)", "Argument number 1 must be an non-negative integer in call to method 'Take'"},
		{"Names.Single()", "More than one element was produced by this operation."},
		{"new { 1 }", "Expected '}' at '1 }'"},
		{"pair.a = 1", "Unable to write memory for assignment"},
		{"(x => x)(1, 2)", "Lambda argument count mismatch: expected 1, got 2 instead."},
	} {
		got := show(newTestHost(), tt.text, Options{Skip: -1})
		if tt.want == "" {
			if strings.HasPrefix(got, "Error") {
				t.Errorf("%s: %s", tt.text, got)
			}
			continue
		}
		if want := "Error: " + tt.want + "\n"; got != want {
			t.Errorf("%s: got %q, want %q", tt.text, got, want)
		}
	}
}

// TestUnqualified tells the host of names without a module that are unknown,
// and of no others.
func TestUnqualified(t *testing.T) {
	h := newTestHost()
	show(h, "nosuch", NewOptions())
	show(h, "m!nosuch", NewOptions())
	show(h, "Names.NoSuch", NewOptions())
	if len(h.boxes) != 1 || h.boxes[0] != "nosuch" {
		t.Errorf("told of %q", h.boxes)
	}
}

// TestRecursionEnds has a lambda that calls itself.
func TestRecursionEnds(t *testing.T) {
	h := newTestHost()
	show(h, "@$f = (x => @$f(x))", NewOptions())
	if got := show(h, "@$f(1)", NewOptions()); !strings.Contains(got, "nested more than") {
		t.Errorf("got %q", got)
	}
	if got := show(h, strings.Repeat("(", 5000)+"1", NewOptions()); !strings.Contains(got, "nested more than") {
		t.Errorf("brackets: got %.80q", got)
	}
}

// TestCancel stops a query over elements without end.
func TestCancel(t *testing.T) {
	h := newTestHost()
	h.vars["endless"] = Sequence(func(ctx context.Context, yield func(v Value) bool) error {
		for ctx.Err() == nil {
			if !yield(I32(1)) {
				return nil
			}
		}
		return ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := NewMachine(h, false).Evaluate(ctx, "@$endless.Count()")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := show(h, "@$endless.Reverse()", NewOptions()); !strings.Contains(got, "more than") {
		t.Errorf("collecting: %.80q", got)
	}
}

// TestTypeNames has the spellings of the record.
func TestTypeNames(t *testing.T) {
	for want, typ := range map[string]string{
		"int *": "int*", "char * *": "char**", "void * [5]": "void*[5]", "void * (*)[5]": "void*(*)[5]",
		"unsigned __int64": "unsigned long long", "unsigned char (*)[15]": "unsigned char(*)[15]", "Pair * [2]": "Pair*[2]",
	} {
		p := &parser{src: typ}
		ref, ok := p.typeRef()
		if !ok {
			t.Errorf("%s is not read", typ)
			continue
		}
		got, err := ref.resolve(t.Context(), newTestHost())
		if err != nil || TypeName(got) != want {
			t.Errorf("%s: got %q, %v, want %q", typ, TypeName(got), err, want)
		}
	}
}

// FuzzEvaluate holds that every text gives a value or an error in the model's
// words, and that showing a value changes nothing: twice gives the same.
func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{
		"1 + 2", "Names.Where(n => n.Contains(\"o\")).OrderBy(n => n.Length)", "p->b,x", "(Pair*)0x10000", "new { A = 1 }",
		"@$f = (x => x)", "*(int(*)[4])p", "\"a\\\"b\".PadLeft(10)", "text,[2]", "sizeof(int*)", "reinterpret_cast<Pair*>(p)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		m := NewMachine(newTestHost(), false)
		v, spec, err := m.Evaluate(ctx, text)
		if err != nil {
			var words *Error
			var read *ReadError
			if !errors.As(err, &words) && !errors.As(err, &read) {
				t.Fatalf("%q: %v is no error of the model", text, err)
			}
			return
		}
		o := Options{Depth: 2, Skip: -1}
		spec.count = min(spec.count, 1000)
		var a, b strings.Builder
		err1 := m.Show(ctx, &a, "x", v, spec, o)
		err2 := m.Show(ctx, &b, "x", v, spec, o)
		if a.String() != b.String() || (err1 == nil) != (err2 == nil) {
			t.Fatalf("%q: shown twice\n%s%v\n%s%v", text, a.String(), err1, b.String(), err2)
		}
		o.Grid = true
		_ = m.Show(ctx, io.Discard, "x", v, spec, o)
	})
}

// TestParts walks values as a tree of variables does.
func TestParts(t *testing.T) {
	m := NewMachine(newTestHost(), false)
	v, _, err := m.Evaluate(t.Context(), "new { P = p, N = Names, T = text }")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var walk func(v Value, indent string)
	walk = func(v Value, indent string) {
		for c, err := range m.Parts(t.Context(), v, Spec{}) {
			if err != nil {
				t.Fatal(err)
			}
			text, typ, err := m.Text(t.Context(), c.Value, Spec{})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, indent+c.Name+"="+text+"|"+typ)
			if indent == "" {
				walk(c.Value, "  ")
			}
		}
	}
	walk(v, "")
	want := []string{
		"P=0x10000|Pair *", "  a=0x7|unsigned int", "  b=-1|int",
		"N=|", "  [0x0]=one|", "  [0x1]=two|", "  [0x2]=three|",
		`T="abc"|char [8]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
