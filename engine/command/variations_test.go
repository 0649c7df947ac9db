package command

import "testing"

// Answers that no block of the record has, but that its rules give for other
// operands. Each group is a session of its own.
func TestVariations(t *testing.T) {
	type line struct{ command, want string }
	for _, group := range []struct {
		rule  string // where it is written, or the block it was learnt from
		lines []line
	}{
		{"expressions.md, registers; lab/expressions-masm.txt, ? esp: a 32-bit part is its register", []line{
			{"? esp - rsp", "Evaluate expression: 0 = 00000000`00000000\n"},
			{"? ebx", "Evaluate expression: -8777471361920 = fffff804`55effc80\n"},
			{"?? @r13d", "unsigned int64 0xfffff804`52727600\n"},
			{"? di", "Evaluate expression: 64640 = 00000000`0000fc80\n"},
			{"r ebx", "ebx=55effc80\n"},
			{"r eip", "eip=51df5a80\n"},
		}},
		{"lab/expressions-user.txt: r? keeps a set context, r drops it", []line{
			{".thread 0xffffe387110b2080", "Implicit thread is now ffffe387`110b2080\n"},
			{"r? $t0=@$proc", "Last set context:\n"},
			{"r? $t1=@$thread", "Last set context:\n"},
			{"r $t2=1", "Last set context:\n"},
			{"r? $t3=2", ""},
			{"r $t2", "$t2=0000000000000001\n"},
		}},
		{"lab/disasm-options.txt, up of a virtual address: one byte of it", []line{
			{"up nt!KeBugCheckEx L1", "fffff804`51df5a80 56              ???\n" +
				"                            ^ Memory access error in 'up nt!KeBugCheckEx l1'\n"},
		}},
		{"scripting.md, .printf: flags as in C", []line{
			{`.printf "%.0d|%#.0f|%#.0e|%.2f\n", 0, 4004000000000000, 4004000000000000, 7ff0000000000000`, "|2.|2.e+000|1.#INF\n"},
		}},
		{"dt.md, errors: @@() of a symbol without type; lab/dt-errors.txt", []line{
			{"dt nt!_LIST_ENTRY @@(nt!KeBugCheckEx)", "Type information missing error for KeBugCheckEx\nCouldn't resolve error at 'nt!KeBugCheckEx)'\n"},
		}},
		{"lab/dt-errors.txt, dt nt!: of types with a prefix, a larger one ends the list, equals are left out", []line{
			{"dt -y nt!_POOL_H", "nt!_POOL_HEADER\n" + answer(labSession(t), "dt nt!_POOL_HEADER")},
			{"dt -y nt!_MMPTE", "nt!_MMPTE_TRANSITION\n" + answer(labSession(t), "dt nt!_MMPTE_TRANSITION")},
		}},
		{"the record's HRESULT lines: most failures in the debugger's words do not end the line", []line{
			{".process 1234; ? 1", "Process 00000000`00001234 has invalid page directories\nEvaluate expression: 1 = 00000000`00000001\n"},
			{".effmach foo; ? 1", "Unknown machine 'foo'\nEvaluate expression: 1 = 00000000`00000001\n"},
			{"~9s; ? 1", "9 is not a valid processor number\nEvaluate expression: 1 = 00000000`00000001\n"},
			{".exr 1234; ? 1", "Cannot read Exception record @ 0000000000001234\nEvaluate expression: 1 = 00000000`00000001\n"},
			{".kframes 0; ? 1", "Default stack trace depth can't be set to 0. Current value is 0n256 frames\nEvaluate expression: 1 = 00000000`00000001\n"},
			{".if (1) { .trap 1234; ? 1 }", "Unable to read trap frame at 00000000`00001234\nEvaluate expression: 1 = 00000000`00000001\n"},
			{"eb nt 1; ? 1", "Exception 0xc0000005 while accessing file mapping\n              ^ Memory access error in 'eb nt 1; ? 1'\n"},
		}},
		{"lab/reload.txt: a module that another one is declared over", []line{
			{".reload a.sys=fffff80480000000,10000", ""},
			{".reload b.sys=fffff8048000f000,1000", ""},
			{"lm m a", "start             end                 module name\nfffff804`80000000 fffff804`80010000   a          (no symbols)           \n"},
		}},
	} {
		s := labSession(t)
		for _, l := range group.lines {
			if got := answer(s, l.command); got != l.want {
				t.Errorf("%s\n%s: got\n%swant\n%s", group.rule, l.command, got, l.want)
			}
		}
	}
}
