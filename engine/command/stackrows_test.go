package command

import (
	"bytes"
	"testing"

	"kdap/engine/windows"
)

// TestInlineRow checks the row of an inlined function. Its form is that of
// public listings (reference/commands/stack-k.md): no reference dump has one.
func TestInlineRow(t *testing.T) {
	s := labSession(t)
	answer(s, "r") // the session needs a line that ran
	regs, err := s.registers()
	if err != nil {
		t.Fatal(err)
	}
	st := s.walk(s.ctx, regs, 1)
	row := stackRow{
		frame: st.Frames[0], inlined: 1,
		inline: &windows.InlineFrame{Name: "func", Offset: 0x12, File: "file", Line: 7},
	}
	s.settings.lines = true
	for _, c := range []struct {
		view stackView
		want string
	}{
		{stackView{}, "(Inline Function) --------`--------     nt!func+0x12 [file @ 7]\n"},
		{stackView{numbers: true, noLines: true}, "01 (Inline Function) --------`--------     nt!func+0x12\n"},
		{stackView{letter: 'c', numbers: true}, "01 nt!func\n"},
		{stackView{memory: true, noLines: true}, "          (Inline Function) --------`--------     nt!func+0x12\n"},
	} {
		var out bytes.Buffer
		s.out = &out
		s.printStackRow(s.ctx, c.view, s.space(), 1, row, true, 0)
		if out.String() != c.want {
			t.Errorf("%+v: %q, want %q", c.view, out.String(), c.want)
		}
	}
}

func TestX87Text(t *testing.T) {
	// Values of the 80-bit format, from the processor's manual.
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, " 0.000e+0000"},
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f}, " 1.000e+0000"},
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xbf}, "-1.000e+0000"},
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xfe, 0x3f}, " 5.000e-0001"},
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f}, " 1.#INF"},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x7f}, " 1.190e+4932"},
	} {
		if got := x87Text(c.b, 3); got != c.want {
			t.Errorf("% x: %q, want %q", c.b, got, c.want)
		}
	}
}
