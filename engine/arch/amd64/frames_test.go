package amd64_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/ulikunitz/xz"

	"kdap/engine/arch/amd64"
	"kdap/internal/truth"
)

// TestFrameLayouts compares the built-in layouts with a kernel's own types.
func TestFrameLayouts(t *testing.T) {
	f, err := os.Open(truth.Path(t, "symbols", "isf", "5278AFF86C341677D7D7835C85B7B844-1.json.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var isf struct {
		UserTypes map[string]struct {
			Size   uint64
			Fields map[string]struct{ Offset uint64 }
		} `json:"user_types"`
	}
	if err := json.NewDecoder(r).Decode(&isf); err != nil {
		t.Fatal(err)
	}
	for _, l := range []amd64.FrameLayout{amd64.DefaultTrapFrame, amd64.DefaultSpecialRegisters, amd64.DefaultSwitchFrame} {
		typ, ok := isf.UserTypes[l.Name]
		if !ok {
			t.Logf("%s is not in the table", l.Name)
			continue
		}
		got := l.Resolve(typ.Size, func(name string) (uint64, bool) {
			f, ok := typ.Fields[name]
			if !ok {
				t.Errorf("%s.%s is not in the table", l.Name, name)
			}
			return f.Offset, ok
		})
		if got.Size != l.Size {
			t.Errorf("%s: size %#x, built in %#x", l.Name, got.Size, l.Size)
		}
		for name, off := range got.Offsets {
			if off != l.Offsets[name] {
				t.Errorf("%s.%s at %#x, built in %#x", l.Name, name, off, l.Offsets[name])
			}
		}
	}
}

func TestTrapFrame(t *testing.T) {
	const at = 0xfffff80000010000
	v := make([]uint64, 0x190/8)
	v[0x28/8] = 0x1f80<<32 | 2<<8 | 1
	v[0x30/8], v[0x60/8], v[0x70/8] = 1, 11, 0x66
	v[0x158/8], v[0x168/8], v[0x170/8], v[0x178/8], v[0x180/8], v[0x188/8] = 5, 0x7ff612345678, 0x33, 0x246, 0x7ffe0000, 0x2b
	mem := words(at, v...)
	f, err := amd64.ReadTrapFrame(mem, at, amd64.DefaultTrapFrame)
	if err != nil {
		t.Fatal(err)
	}
	c := f.Context()
	if f.PreviousMode != 1 || f.PreviousIrql != 2 || f.MXCSR != 0x1f80 || c.RIP != 0x7ff612345678 || c.CS != 0x33 ||
		c.EFlags != 0x246 || c.SP() != 0x7ffe0000 || c.SS != 0x2b || c.GPR[amd64.RBP] != 5 || c.GPR[amd64.RAX] != 1 ||
		c.GPR[amd64.R11] != 11 || c.XMM[0][0] != 0x66 || c.GPR[amd64.RBX] != 0 {
		t.Errorf("%+v", c)
	}
	if _, err := amd64.ReadTrapFrame(mem, at+8, amd64.DefaultTrapFrame); err == nil {
		t.Error("a frame that is not there was read")
	}
}

func TestSwitchFrame(t *testing.T) {
	c, err := amd64.ReadSwitchFrame(words(0x1000, 0, 0, 0, 0, 0, 0, 0xb, 0xfffff80000001076), 0x1000, amd64.DefaultSwitchFrame)
	if err != nil || c.RIP != 0xfffff80000001076 || c.SP() != 0x1040 || c.GPR[amd64.RBP] != 0xb {
		t.Errorf("%+v, %v", c, err)
	}
}

// A symbol file that claims nonsense does not get through.
func TestResolveHostile(t *testing.T) {
	l := amd64.DefaultTrapFrame.Resolve(1<<40, func(string) (uint64, bool) { return 1 << 33, true })
	if l.Size != amd64.DefaultTrapFrame.Size || l.Offsets["Rip"] != 0x168 {
		t.Errorf("%+v", l)
	}
}

// TestLabSpecialRegisters compares a processor's control registers with those that
// the debugger showed for the reference dump (record registers.txt).
func TestLabSpecialRegisters(t *testing.T) {
	lab := readTruth(t)
	kernel, _ := spaces(openLab(t, "lab19041"), lab)
	// _KPCR.Prcb + _KPRCB.ProcessorState.SpecialRegisters of processor 0.
	r, err := amd64.ReadSpecialRegisters(kernel, 0xffff8d8011c00180+0x100, amd64.DefaultSpecialRegisters)
	if err != nil {
		t.Fatal(err)
	}
	if r.CR0 != 0x80050033 || r.CR3 != 0x1ad000 || r.CR4 != 0x350ef8 ||
		r.GDTR != (amd64.Descriptor{Limit: 0x57, Base: 0xffffe387201f8000}) || r.IDTR != (amd64.Descriptor{Limit: 0xfff, Base: 0xffffe387201fb000}) {
		t.Errorf("%+v", r)
	}
}
