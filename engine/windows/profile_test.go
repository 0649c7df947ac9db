package windows_test

import (
	"context"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows"
)

// withoutSymbols opens a dump that has no symbols anywhere.
func withoutSymbols(t *testing.T, file string) *windows.System {
	t.Helper()
	for _, name := range []string{"_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"} {
		t.Setenv(name, "")
	}
	target, err := engine.Open(context.Background(), file, engine.Options{SymbolPath: t.TempDir(), CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target.System
}

func problemText(sys *windows.System) string {
	var b strings.Builder
	for _, err := range sys.Problems() {
		b.WriteString(err.Error() + "\n")
	}
	return b.String()
}

// headerBuild is where the header has the build (MinorVersion).
const headerBuild = 0xc

// A kernel that is none of the families' must not be read by one of theirs,
// whichever build it claims to be.
func TestProfileIsRefused(t *testing.T) {
	for _, relative := range []string{"", "older", "newer"} {
		dump := dumptest.SmallWith(dumptest.Options{Relative: relative}).Finish()
		for _, build := range []uint32{0, 10240, 14393, 15063, 17763, 18362, 19041, 20348, 22000, 22621, 26100, 40000} {
			file, _ := dumptest.WriteFile(t, dump)
			if build != 0 {
				setBuild(t, file, build)
			}
			sys := withoutSymbols(t, file)
			if sys.Profile() == nil {
				if !strings.Contains(problemText(sys), "profile") {
					t.Errorf("relative %q, build %d: nothing tells why there is no profile: %s", relative, build, problemText(sys))
				}
				continue
			}
			wantProcesses(t, sys, dump, relative, build)
		}
	}
}

// wantProcesses allows a profile only if what it reads is true.
func wantProcesses(t *testing.T, sys *windows.System, dump *dumptest.Dump, relative string, build uint32) {
	t.Helper()
	want := map[uint64]string{}
	for _, p := range dump.Truth().Processes {
		want[p.EPROCESS] = p.Name
	}
	for p, err := range sys.ActiveProcesses(context.Background()) {
		if err != nil {
			t.Errorf("relative %q, build %d, %v: %v", relative, build, sys.Profile(), err)
			return
		}
		name, err := p.Name()
		full := want[p.Addr()]
		if err != nil || full == "" || !strings.HasPrefix(full, name) {
			t.Errorf("relative %q, build %d, %v: process %#x is %q, %v; want %q", relative, build, sys.Profile(), p.Addr(), name, err, full)
			return
		}
	}
}

func setBuild(t *testing.T, file string, build uint32) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, build), headerBuild); err != nil {
		t.Fatal(err)
	}
}
