package amd64_test

import (
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kdap/engine/arch/amd64"
)

var regNames = [16]string{"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}

// llvmCodes prints unwind codes as llvm-readobj does.
func llvmCodes(u *amd64.UnwindInfo) []string {
	var out []string
	for _, c := range u.Codes {
		s := fmt.Sprintf("0x%02X: %s", c.PrologOffset, strings.TrimPrefix(c.Op.String(), "UWOP_"))
		switch c.Op {
		case amd64.OpPushNonvol:
			s += " reg=" + regNames[c.Info]
		case amd64.OpAllocSmall, amd64.OpAllocLarge:
			s += fmt.Sprintf(" size=%d", c.Value)
		case amd64.OpSetFPReg:
			s += fmt.Sprintf(" reg=%s, offset=0x%X", regNames[u.FrameRegister], u.FrameOffset)
		case amd64.OpSaveNonvol, amd64.OpSaveNonvolFar:
			s += fmt.Sprintf(" reg=%s, offset=0x%X", regNames[c.Info], c.Value)
		case amd64.OpSaveXMM128, amd64.OpSaveXMM128Far:
			s += fmt.Sprintf(" reg=XMM%d, offset=0x%X", c.Info, c.Value)
		case amd64.OpPushMachFrame:
			s += " errcode=" + map[uint8]string{0: "no", 1: "yes"}[c.Info]
		}
		out = append(out, s)
	}
	return out
}

// llvmFunction prints an entry with the labels of llvm-readobj --unwind that the
// comparison looks at.
func llvmFunction(base uint64, f amd64.RuntimeFunction, u *amd64.UnwindInfo) []string {
	entry := func(f amd64.RuntimeFunction) []string {
		return []string{
			fmt.Sprintf("StartAddress: (0x%X)", base+uint64(f.Begin)),
			fmt.Sprintf("EndAddress: (0x%X)", base+uint64(f.End)),
			fmt.Sprintf("UnwindInfoAddress: (0x%X)", base+uint64(f.UnwindData)),
		}
	}
	out := append(entry(f),
		fmt.Sprintf("Version: %d", u.Version),
		fmt.Sprintf("PrologSize: %d", u.PrologSize),
		fmt.Sprintf("UnwindCodeCount: %d", u.CountOfCodes))
	out = append(out, llvmCodes(u)...)
	if u.Handler != 0 {
		out = append(out, fmt.Sprintf("Handler: (0x%X)", base+uint64(u.Handler)))
	}
	if u.Flags&amd64.UnwindChained != 0 {
		out = append(out, entry(u.Chained)...)
	}
	return out
}

// TestUnwindAgainstLLVM compares the function tables of all shared images.
func TestUnwindAgainstLLVM(t *testing.T) {
	readobj, err := exec.LookPath("llvm-readobj-16")
	if err != nil {
		if readobj, err = exec.LookPath("llvm-readobj"); err != nil {
			t.Skip("llvm-readobj is not installed (package llvm-16)")
		}
	}
	line := regexp.MustCompile(`(?m)^ *((?:StartAddress|EndAddress|UnwindInfoAddress|Version|PrologSize|UnwindCodeCount|Handler|0x[0-9A-F]{2}): .*)$`)
	padding := regexp.MustCompile(`^StartAddress: \(0x[0-9A-F]{1,5}\)$`)
	total := 0
	for path, im := range sharedImages(t) {
		text, err := exec.Command(readobj, "--unwind", path).Output()
		if err != nil {
			t.Fatal(path, err)
		}
		var want, got []string
		for _, m := range line.FindAllSubmatch(text, -1) {
			want = append(want, string(m[1]))
		}
		// LLVM goes on through the padding behind the table, whose zeros it
		// shows as functions without a base.
		if i := slices.IndexFunc(want, func(s string) bool { return padding.MatchString(s) }); i >= 0 {
			want = want[:i]
		}
		table := amd64.NewFunctionTable(im.Base(), im, nil)
		n, err := table.Len()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			f, err := table.Entry(i)
			if err != nil {
				t.Fatal(path, err)
			}
			u, err := table.Info(f)
			if err != nil {
				t.Fatal(path, err)
			}
			got = append(got, llvmFunction(im.Base(), f, u)...)
			for _, rva := range [2]uint32{f.Begin, f.End - 1} {
				if found, ok, err := table.Lookup(rva); !ok || err != nil || found != f {
					t.Errorf("%s: Lookup(%#x) = %v, %v, %v, want %v", path, rva, found, ok, err, f)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-llvm +kdap):\n%s", filepath.Base(path), diff)
		}
		total += n
	}
	t.Logf("%d functions", total)
}

// The .xdata that llvm-mc made of .seh directives, and what llvm-readobj says it
// means: the operations that the shared images lack.
func TestUnwindOperations(t *testing.T) {
	tests := []struct {
		name, xdata string
		want        []string
	}{
		{"frame register, machine frame with error code", "011f0a851f6802001a34200012030a012b0003c00150001a", []string{
			"0x1F: SAVE_XMM128 reg=XMM6, offset=0x20",
			"0x1A: SAVE_NONVOL reg=RBX, offset=0x100",
			"0x12: SET_FPREG reg=RBP, offset=0x80",
			"0x0A: ALLOC_LARGE size=344",
			"0x03: PUSH_NONVOL reg=R12",
			"0x01: PUSH_NONVOL reg=RBP",
			"0x00: PUSH_MACHFRAME errcode=yes",
		}},
		{"far forms", "01180a0018f9000011000ff500000900071100001000000a", []string{
			"0x18: SAVE_XMM128_FAR reg=XMM15, offset=0x110000",
			"0x0F: SAVE_NONVOL_FAR reg=R15, offset=0x90000",
			"0x07: ALLOC_LARGE size=1048576",
			"0x00: PUSH_MACHFRAME errcode=no",
		}},
		{"handler", "190401000402000000000000", []string{"0x04: ALLOC_SMALL size=8"}},
	}
	for _, tt := range tests {
		b, err := hex.DecodeString(tt.xdata)
		if err != nil {
			t.Fatal(err)
		}
		u, err := amd64.ParseUnwindInfo(0x1000, b)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, llvmCodes(u)); diff != "" {
			t.Errorf("%s (-llvm +kdap):\n%s", tt.name, diff)
		}
		for n := range b {
			if _, err := amd64.ParseUnwindInfo(0x1000, b[:n]); err == nil {
				t.Errorf("%s: %d bytes of %d are enough", tt.name, n, len(b))
			}
		}
	}
}

func TestUnwindVersion2(t *testing.T) {
	// Epilogs of 3 bytes: one at the end, one 0x21 bytes before it; padding.
	b := []byte{0x02, 0x06, 0x06, 0x00, 0x03, 0x16, 0x21, 0x06, 0x00, 0x06, 0x06, 0x32, 0x02, 0x30, 0x01, 0x70}
	u, err := amd64.ParseUnwindInfo(0, b)
	if err != nil {
		t.Fatal(err)
	}
	f := amd64.RuntimeFunction{Begin: 0x1000, End: 0x1080}
	want := []amd64.Epilog{{Begin: 0x107d, End: 0x1080}, {Begin: 0x105f, End: 0x1062}}
	if diff := cmp.Diff(want, u.Epilogs(f)); diff != "" {
		t.Error(diff)
	}
}
