package analyze

import (
	"context"
	"path/filepath"
	"testing"

	"kdap/engine"
	"kdap/engine/windows"
	"kdap/internal/truth"
)

func open(t *testing.T, dump string, symbols bool) *windows.System {
	t.Helper()
	path := truth.Dump(t, dump)
	o := engine.Options{SymbolPath: filepath.Join(t.TempDir(), "none"), CacheDir: t.TempDir()}
	if symbols {
		o.SymbolPath = truth.Path(t, "symbols")
	}
	target, err := engine.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target.System
}

// TestCrashByHand: the driver that lab19041.json has above the interrupt.
func TestCrashByHand(t *testing.T) {
	sys := open(t, "lab19041", true)
	r := New(context.Background(), sys, sys.Kernel(), sys.KernelModules(context.Background()))
	f, ok := r.Culprit()
	if !ok || f.Symbol() != "i8042prt+3b8e" || f.Image != "i8042prt.sys" || !r.Sure {
		t.Errorf("blamed %q (%v), sure %v: %s", f.Symbol(), ok, r.Sure, r.Why)
	}
	if r.Bucket != "MANUALLY_INITIATED_CRASH" || !r.Deliberate() || !r.Recorded() {
		t.Errorf("bucket %s, deliberate %v", r.Bucket, r.Deliberate())
	}
}

// TestContextRecord: the x64 sample's bug check names the driver that raised
// the exception (parameter 2), whose context record its stack begins with.
func TestContextRecord(t *testing.T) {
	sys := open(t, "triage_x64", false)
	r := New(context.Background(), sys, sys.Kernel(), sys.KernelModules(context.Background()))
	f, ok := r.Culprit()
	if !ok || f.Module != "amdppm" || f.IP != r.Args[1].Value || r.Context != r.Args[3].Value {
		t.Errorf("blamed %q at %#x, context %#x: %s", f.Symbol(), f.IP, r.Context, r.Why)
	}
	if r.Bucket != "AV_amdppm" {
		t.Errorf("bucket %s", r.Bucket)
	}
}

func TestBlame(t *testing.T) {
	at := func(module, function string, kind windows.FrameKind) Frame {
		return Frame{Frame: windows.Frame{Kind: kind}, Module: module, Function: function}
	}
	kernel := windows.KernelFrame
	tests := []struct {
		name   string
		code   uint32
		frames []Frame
		want   int
		sure   bool
	}{
		{"driver behind the trap", 0xd1, []Frame{
			at("nt", "KeBugCheckEx", kernel), at("nt", "KiBugCheckDispatch", kernel), at("nt", "KiPageFault", windows.TrapFrame),
			at("bad", "Isr", kernel), at("nt", "KiCallInterruptServiceRoutine", kernel),
		}, 3, true},
		{"driver below a filter manager", 0x7e, []Frame{at("FLTMGR", "FltpDispatch", kernel), at("nt", "IofCallDriver", kernel), at("bad", "Read", kernel)}, 2, true},
		{"filter manager alone", 0x7e, []Frame{at("FLTMGR", "FltpDispatch", kernel), at("nt", "IofCallDriver", kernel)}, 0, false},
		{"only the kernel", 0x1a, []Frame{at("nt", "KeBugCheckEx", kernel), at("nt", "MiDeletePte", kernel)}, 1, false},
		{"no module", 0xa, []Frame{at("nt", "KeBugCheckEx", kernel), at("nt", "KiPageFault", windows.TrapFrame), at("", "", kernel)}, -1, false},
		{"no stack", 0xa, nil, -1, false},
	}
	for _, tt := range tests {
		r := &Report{BugCheck: Describe(tt.code, [4]uint64{}), Frames: tt.frames, Blamed: -1, Processor: -1}
		r.blame()
		if r.Blamed != tt.want || r.Sure != tt.sure || r.Why == "" {
			t.Errorf("%s: frame %d, sure %v (%s), want %d, %v", tt.name, r.Blamed, r.Sure, r.Why, tt.want, tt.sure)
		}
	}
}
