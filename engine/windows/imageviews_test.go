package windows_test

import (
	"strings"
	"testing"
	"time"

	"kdap/engine"
	"kdap/engine/dumptest"
	"kdap/engine/windows"
)

// An image whose headers are out in one process is identified by another one
// that maps the same file; where none has them the reason is told.
func TestImageIdentifiedByOtherProcess(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	add := func(name, image string) *dumptest.Process {
		p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: name, Image: image, Age: time.Minute})
		p.AddThread(dumptest.ThreadOptions{Stack: []string{"ntdll!NtDelayExecution"}})
		return p
	}
	one := add("explorer.exe", "explorer.exe")
	out := func(module string) { one.Space.PageFile(one.Module(module), 0, 0x1234, dumptest.ReadOnly) }
	out("ntdll")
	out("explorer") // which no other process maps
	file, symbols := dumptest.WriteFile(t, m.Finish())
	target, err := engine.Open(t.Context(), file, engine.Options{SymbolPath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	mods := target.System.Process(one.EPROCESS()).UserModules(t.Context())
	named := func(name string) *windows.Module {
		for _, m := range mods.All() {
			if strings.EqualFold(m.Name, name) {
				return m
			}
		}
		t.Fatalf("no module %s", name)
		return nil
	}
	nt := named("ntdll")
	if _, err := nt.Image(); err == nil {
		t.Fatal("the header is there")
	}
	want := dumptest.LoadImage("ntdll.dll")
	cv, err := nt.CodeView()
	if err != nil || cv.Name != want.PDB.Path || cv.Age != want.PDB.Age || cv.GUID != want.PDB.GUID {
		t.Errorf("ntdll: %+v, %v", cv, err)
	}
	if stamp, sum, err := nt.Stamp(t.Context()); err != nil || stamp != want.TimeStamp || sum != want.CheckSum {
		t.Errorf("ntdll: stamp %x, checksum %x, %v", stamp, sum, err)
	}
	if p, ok := nt.IdentifiedBy(); !ok || p.Addr() == one.EPROCESS() {
		t.Errorf("ntdll: identified by %#x, %v", p.Addr(), ok)
	}
	if got := nt.Symbols(t.Context()).Rank; nt.SymbolState() != "pdb" {
		t.Errorf("ntdll: symbols of rank %v", got)
	}
	alone := named("explorer")
	if _, err := alone.CodeView(); err == nil || !strings.Contains(err.Error(), "page file 0") || !strings.Contains(err.Error(), "no other process maps the file") {
		t.Errorf("explorer: %v", err)
	}
	if _, ok := alone.IdentifiedBy(); ok {
		t.Error("explorer was identified")
	}
}

// On a real system the other processes tell of each DLL what it tells itself.
func TestImageViewsAgree(t *testing.T) {
	sys := openLab(t).System
	shared := 0
	for p, err := range sys.ActiveProcesses(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range p.UserModules(t.Context()).All() {
			own, err := m.CodeView()
			if err != nil {
				continue
			}
			cv, owner, same, err := m.Elsewhere(t.Context())
			if owner.Addr() == 0 {
				if same > 0 {
					t.Errorf("%s: %d views of its section tell nothing", m.Name, same)
				}
				continue
			}
			shared++
			if err != nil || cv != own || owner.Addr() == p.Addr() || same <= 0 {
				t.Errorf("%s of %#x: %+v of process %#x (%d views of its section), %v; itself says %+v", m.Name, p.Addr(), cv, owner.Addr(), same, err, own)
			}
		}
	}
	if shared < 50 {
		t.Errorf("%d modules are mapped more than once", shared)
	}
}

// Where no process has an image's headers, the time stamp that the loader of one
// noted tells which file it is, in processes whose loader's list is out, too.
func TestImageNotedByOtherProcess(t *testing.T) {
	d := dumptest.Demo()
	d.WithoutSome(20, 0)
	file, symbols := dumptest.WriteFile(t, d)
	target, err := engine.Open(t.Context(), file, engine.Options{SymbolPath: symbols, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	want := dumptest.LoadImage("ntdll.dll").TimeStamp
	found := 0
	for p, err := range target.System.ActiveProcesses(t.Context()) {
		if err != nil {
			break
		}
		for _, m := range p.UserModules(t.Context()).All() {
			if m.Source != "vad" || m.ImageName != "ntdll.dll" || m.WOW64 {
				continue
			}
			if _, _, err := m.Stamp(t.Context()); err == nil {
				continue // by a header
			}
			if found++; !m.HasTimeDateStamp || m.TimeDateStamp != want {
				t.Errorf("process %#x: the stamp of ntdll is %#x, want %#x", p.Addr(), m.TimeDateStamp, want)
			}
		}
	}
	if found == 0 {
		t.Error("no process lacks what the test is about")
	}
}
