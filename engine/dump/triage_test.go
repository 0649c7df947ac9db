package dump

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kdap/engine/memory"
	"kdap/internal/truth"
)

// record returns the answer to a command in a recording of the debugger.
func record(t *testing.T, file, command string) []string {
	t.Helper()
	b, err := os.ReadFile(truth.Path(t, "reference", "windbg", file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "<<< "+command+"\n")
	if !ok {
		t.Fatalf("%s has no command %s", file, command)
	}
	rest, _, _ = strings.Cut(rest, "\n>>>")
	return strings.Split(rest, "\n")
}

func TestTriageX64(t *testing.T) {
	f := sample(t, "triage_x64")
	wantWarnings(t, f)
	h := f.Header
	if h.BugCheckCode != 0x1000007e || h.BugCheckParameter[1] != 0xfffff8048b58334c || h.NumberProcessors != 16 || h.HasRuns() {
		t.Errorf("header: %+v", h)
	}
	if e := h.Exception(); e.Code != 0x80000003 || e.Flags != 1 || e.NumberParameters != 0 || e.Address != 0xfffff8047bdf5a80 {
		t.Errorf("exception: %+v", e)
	}
	if ctx := h.ContextBytes(); le.Uint64(ctx[0xf8:]) != h.BugCheckParameter[1] || le.Uint32(ctx[0x30:]) != 0x10001f {
		t.Errorf("context: rip %#x", le.Uint64(ctx[0xf8:]))
	}
	tr, ok := f.Triage()
	if !ok || len(tr.Drivers) != 151 || len(tr.DataBlocks) != 0x727 || len(tr.UnloadedDrivers) != 4 {
		t.Fatalf("%d drivers, %d blocks, %d unloaded", len(tr.Drivers), len(tr.DataBlocks), len(tr.UnloadedDrivers))
	}
	if d := tr.Drivers[0]; d.Name != "ntoskrnl.exe" && !strings.HasSuffix(d.Name, `\ntoskrnl.exe`) || d.DllBase != 0xfffff8047ba00000 {
		t.Errorf("first driver %q at %#x", d.Name, d.DllBase)
	}
	for _, d := range tr.Drivers {
		if d.Name == "" || d.DllBase < 1<<63 || d.SizeOfImage == 0 || d.SizeOfImage%4096 != 0 {
			t.Errorf("driver %q at %#x, size %#x", d.Name, d.DllBase, d.SizeOfImage)
		}
	}
	a := tr.Addresses()
	if a.DebuggerData != 0xfffff8047c600b20 || a.PRCB == 0 || a.Thread == 0 || a.Process == 0 {
		t.Errorf("addresses %#x", a)
	}
	s := tr.Space()
	for _, p := range []struct {
		va   uint64
		want []byte
	}{
		{a.DebuggerData, tr.DebuggerData},
		{a.Process, tr.Process},
		{tr.Fields.TopOfStack, tr.CallStack},
	} {
		got, err := memory.ReadBytes(s, p.va, len(p.want))
		if err != nil || !bytes.Equal(got, p.want) {
			t.Errorf("part at %#x: %v", p.va, err)
		}
	}
	for i, b := range tr.DataBlocks {
		if _, err := memory.ReadBytes(s, b.VA, int(b.Size)); err != nil {
			t.Errorf("block %d: %v", i, err)
		}
	}
	// The return address on top of the crashing stack, as WinDbg shows it.
	stack := record(t, "triage_x64/open-header.txt", "k 5")
	ret, _ := strconv.ParseUint(strings.ReplaceAll(strings.Fields(stack[1])[1], "`", ""), 16, 64)
	if v, err := memory.ReadUint(s, tr.Fields.TopOfStack, 8); err != nil || v != ret {
		t.Errorf("return address %#x, %v; want %#x", v, err, ret)
	}
}

// TestTriageDrivers compares the driver lists with WinDbg's module lists.
func TestTriageDrivers(t *testing.T) {
	row := regexp.MustCompile("^([0-9a-f]{8})`([0-9a-f]{8}) ([0-9a-f]{8})`([0-9a-f]{8})   \\S")
	for _, name := range []string{"triage_x64", "triage_arm64"} {
		tr, _ := sample(t, name).Triage()
		have := map[string]bool{}
		for _, d := range tr.Drivers {
			end := d.DllBase + uint64(d.SizeOfImage)
			have[fmt.Sprintf("%08x`%08x %08x`%08x", d.DllBase>>32, uint32(d.DllBase), end>>32, uint32(end))] = true
		}
		n := 0
		for _, line := range record(t, name+"/modules.txt", "lm") {
			if strings.HasPrefix(line, "Unloaded modules") {
				break
			}
			if !row.MatchString(line) {
				continue
			}
			n++
			if key := strings.Join(strings.Fields(line)[:2], " "); !have[key] {
				t.Errorf("%s: no driver for %q", name, line)
			}
		}
		// The recording of the ARM64 dump keeps only some rows.
		if n == 0 || name == "triage_x64" && n != len(tr.Drivers) {
			t.Errorf("%s: WinDbg lists %d modules, the dump has %d", name, n, len(tr.Drivers))
		}
	}
}

func TestTriageARM64AndLab(t *testing.T) {
	for name, want := range map[string][2]int{"triage_arm64": {0xf5, 0x2a7}, "lab_m": {0x3f, 0x2a}} {
		f := sample(t, name)
		wantWarnings(t, f)
		tr, _ := f.Triage()
		if len(tr.Drivers) != want[0] || len(tr.DataBlocks) != want[1] {
			t.Errorf("%s: %d drivers, %d blocks", name, len(tr.Drivers), len(tr.DataBlocks))
		}
		if a := tr.Addresses(); a.Thread == 0 || a.Process == 0 || a.DebuggerData == 0 {
			t.Errorf("%s: addresses %#x", name, a)
		}
	}
	// The lab's machine is known.
	tr, _ := sample(t, "lab_m").Triage()
	if a := tr.Addresses(); a.PRCB != 0xffff8d8011c00180 || a.Thread != 0xfffff80452727600 {
		t.Errorf("lab: addresses %#x", a)
	}
}

// TestBlobs compares with the answer to .enumtag.
func TestBlobs(t *testing.T) {
	for name, file := range map[string]string{
		"triage_x64": "triage_x64/open-header.txt", "triage_arm64": "triage_arm64/open-header.txt",
		"lab19041": "lab/header.txt", "lab_m": "written/open-m.txt", "lab_k": "written/open-k.txt",
	} {
		f := sample(t, name)
		var got []string
		end := f.blobsAt
		for b, err := range f.Blobs() {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			got = append(got, fmt.Sprintf("%s - 0x%x bytes", b.Tag.EnumTag(), b.Size))
			end = b.Off + uint64(b.Size)
		}
		var want []string
		for _, line := range record(t, file, ".enumtag") {
			if strings.HasPrefix(line, "{") {
				want = append(want, line)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if f.HasBlobs() && f.Size()-end >= 16 {
			t.Errorf("%s: the walk ends at %#x of %#x", name, end, f.Size())
		}
	}
	for b, err := range sample(t, "triage_arm64").Blobs() {
		if err == nil && b.Tag.String() == "bc5c008f-1e3a-44d7-988d-86f6884c6758" && b.Size < 0x3ae {
			t.Errorf("SMBIOS has %#x bytes", b.Size)
		}
	}
}

// TestTriageDamaged cuts a real triage dump everywhere: what is whole stays.
func TestTriageDamaged(t *testing.T) {
	whole, err := os.ReadFile(truth.Dump(t, "lab_m"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0x2000, 0x2040, 0x2080, 0x2180, 0xd100, 0xe000, 0xeb00, 0x10f00, 0x11500, 0x12350, 0x20000, len(whole) - 0x9a000} {
		if n <= 0 || n > len(whole) {
			continue
		}
		f := mustOpen(t, whole[:n])
		tr, ok := f.Triage()
		if !ok || len(f.Warnings()) == 0 && n < 0x5219c {
			t.Errorf("cut at %#x: triage %v, warnings %v", n, ok, f.Warnings())
		}
		tr.Space()
	}
	b := bytes.Clone(whole)
	le.PutUint32(b[0x201c:], 0) // no PRCB
	le.PutUint32(b[0x2030:], 0) // no drivers
	f := mustOpen(t, b)
	wantWarnings(t, f, TriagePart, TriagePart)
	if got := f.Warnings()[1].Text(); got != "Mini Kernel Dump does not contain driver list" {
		t.Errorf("WinDbg's words: %q", got)
	}
	b = bytes.Clone(whole)
	le.PutUint32(b[0x207c:], 1<<30) // a million blocks
	wantWarnings(t, mustOpen(t, b), TriagePart, TriagePart)
}
