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

// TestUserException: the exception of the reference minidump is a break point
// that a debugger made the program run into: nobody is to blame.
func TestUserException(t *testing.T) {
	r, err := NewUser(context.Background(), open(t, "minidump_calc", false), false)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := r.Culprit(); !ok || f.Image != "ntdll.dll" || r.Sure || r.Exception == nil || r.Exception.Code != 0x80000003 {
		t.Errorf("blamed %q, sure %v: %s", f.Symbol(), r.Sure, r.Why)
	}
	if r.Bucket != "BREAKPOINT_80000003_ntdll.dll" {
		t.Errorf("bucket %s", r.Bucket)
	}
}

func TestUserBucket(t *testing.T) {
	at := func(module, image, function string) Frame {
		return Frame{Module: module, Image: image, Function: function}
	}
	frames := []Frame{at("ntdll", "ntdll.dll", "RtlReportCriticalFailure"), at("Quill", "Quill.exe", "RenderPage"), at("KERNEL32", "KERNEL32.DLL", "BaseThreadInitThunk")}
	for _, tt := range []struct {
		code, how, address uint64
		want               string
	}{
		{0xc0000005, 0, 8, "NULL_POINTER_READ_c0000005_Quill.exe!RenderPage"},
		{0xc0000005, 1, 0xdead0000, "INVALID_POINTER_WRITE_c0000005_Quill.exe!RenderPage"},
		{0xc0000005, 8, 0xdead0000, "SOFTWARE_NX_FAULT_c0000005_Quill.exe!RenderPage"},
		{0xc0000374, 0, 0, "HEAP_CORRUPTION_c0000374_Quill.exe!RenderPage"},
		{0xc0000409, 7, 0, "FAIL_FAST_FATAL_APP_EXIT_c0000409_Quill.exe!RenderPage"},
		{0xc0000420 + 1, 0, 0, "APPLICATION_FAULT_c0000421_Quill.exe!RenderPage"},
	} {
		e := &Exception{}
		e.Code, e.NumberParameters, e.Information[0], e.Information[1] = uint32(tt.code), 2, tt.how, tt.address
		r := &Report{Exception: e, Frames: frames, Blamed: -1, Processor: -1}
		r.blameUser()
		if got := r.userBucket(); got != tt.want || !r.Sure {
			t.Errorf("%x: %s, want %s", tt.code, got, tt.want)
		}
	}
}
