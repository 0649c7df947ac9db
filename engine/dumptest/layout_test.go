package dumptest

import (
	"os"
	"testing"
)

// TestTypesAreCompiled fails when the PDB was compiled from other types than
// the writer uses: run testdata/build.sh.
func TestTypesAreCompiled(t *testing.T) {
	b, err := os.ReadFile("../../testdata/src/nttypes.h")
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != CxxTypes() {
		t.Error("testdata/src/nttypes.h is not what gentypes prints")
	}
}

func TestLayout(t *testing.T) {
	// Offsets that the architecture and documented interfaces fix.
	for _, tt := range []struct {
		typ, path string
		want      int
	}{
		{"_KTRAP_FRAME", "Rip", 0x168},
		{"_KTRAP_FRAME", "Rbp", 0x158},
		{"_KTRAP_FRAME", "Rsp", 0x180},
		{"_CONTEXT", "Rip", 0xf8},
		{"_CONTEXT", "VectorRegister", 0x300},
		{"_KPROCESSOR_STATE", "ContextFrame", 0xf0},
		{"_KEXCEPTION_FRAME", "Rbx", 0x100},
		{"_TEB", "ProcessEnvironmentBlock", 0x60},
		{"_TEB", "LastStatusValue", 0x1250},
		{"_TEB", "TlsSlots[1]", 0x1488},
		{"_TEB", "EffectiveContainerId", 0x1828},
		{"_PEB", "Ldr", 0x18},
		{"_PEB", "SessionId", 0x2c0},
		{"_PEB", "NtGlobalFlag2", 0x7c4},
		{"_RTL_USER_PROCESS_PARAMETERS", "EnvironmentSize", 0x3f0},
		{"_LDR_DATA_TABLE_ENTRY", "LoadReason", 0x10c},
		{"_KUSER_SHARED_DATA", "NtBuildNumber", 0x260},
		{"_KUSER_SHARED_DATA", "TickCount", 0x320},
		{"_KUSER_SHARED_DATA", "SuiteMask", 0x2d0},
	} {
		if got := OffsetOf(tt.typ, tt.path); got != tt.want {
			t.Errorf("%s.%s at %#x, want %#x", tt.typ, tt.path, got, tt.want)
		}
	}
	if SizeOf("_CONTEXT") != 0x4d0 || SizeOf("_KTRAP_FRAME") != 0x190 || SizeOf("_TEB") != 0x1838 || SizeOf("_PEB") != 0x7c8 {
		t.Error("a fixed structure has another size")
	}
}
