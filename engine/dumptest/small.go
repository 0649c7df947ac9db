package dumptest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kdap/testdata"
)

// Small is the machine of most tests: System with workers, a service, a
// program with several threads, an ended process.
func Small() *Dump { return SmallWith(Options{}).Finish() }

// SmallWith is Small before it is finished, to add to it.
func SmallWith(o Options) *Machine {
	m := NewMachine(o)
	m.AddDriver("keypad.sys")
	m.AddAbsentDriver("stornvme.sys", 0x2f000, 0x5c3a1e77)
	sys := m.System()
	for range 3 {
		sys.AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue", Priority: 12})
	}
	sys.AddThread(ThreadOptions{Stack: []string{"KeBalanceSetManager", "KeWaitForMultipleObjects"}, Priority: 17})
	sys.AddThread(ThreadOptions{Stack: []string{"ExpLuidThread", "ExpIdleHelper+0x40", "KeDelayExecutionThread"}, Reason: "DelayExecution"})
	ready := m.NewEvent("LetterReady", false, false)
	svc := m.AddProcess(ProcessOptions{
		PPID: 4, Name: "svchost.exe", Image: "svchost.exe", CommandLine: `C:\Windows\system32\svchost.exe -k Letters`, Age: 40 * time.Minute,
	})
	svc.AddHandle(ready, 0x1f0003, 0)
	svc.AddThread(ThreadOptions{Stack: []string{"svchost!mainCRTStartup", "svchost!WaitForTheEnd", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}, Objects: []uint64{ready}})
	svc.AddThread(ThreadOptions{Stack: []string{"svchost!LetterThread", "svchost!AnswerOneLetter", "ntdll!NtAlpcSendWaitReceivePort"}, Name: "letters"})
	svc.AddThread(ThreadOptions{Stack: []string{"ntdll!TppWorkerThread", "ntdll!NtWaitForWorkViaWorkerFactory"}})
	quill := m.AddProcess(ProcessOptions{
		PPID: svc.pid, Name: "QuillPress.exe", Image: "quillpress.exe", Folder: `C:\Users\ines\QuillPress`, User: "ines",
		CommandLine: `"C:\Users\ines\QuillPress\QuillPress.exe" /preview`, CurrentDirectory: `C:\Users\ines\Documents\`, Session: 1,
		Env: []string{"QUILL_CACHE=64"}, Age: 5 * time.Minute,
	})
	quill.AddThread(ThreadOptions{Stack: []string{"quillpress!mainCRTStartup", "kernel32!WaitForSingleObjectEx", "ntdll!NtWaitForSingleObject"}})
	quill.AddThread(ThreadOptions{Name: "preview", Stack: previewStack, UserTicks: 5200, KernelTick: 311, LastStatus: 0xc0000034})
	quill.AddThread(ThreadOptions{Stack: previewStack[:3], Running: 2})
	m.AddProcess(ProcessOptions{PPID: 4, Name: "setup.exe", Image: "svchost.exe", Exited: true, Age: time.Hour})
	return m
}

// previewStack is where QuillPress leaks.
var previewStack = []string{
	"quillpress!PreviewThread", "quillpress!RenderIssue", "quillpress!RenderPage", "quillpress!CacheRenderedPage",
	"kernel32!Sleep", "ntdll!NtDelayExecution",
}

// WriteFile writes a dump and its symbols into a folder of the test.
func WriteFile(t testing.TB, d *Dump) (dump, symbols string) { return WriteFileAs(t, d, Full) }

// WriteFileAs does so in a format.
func WriteFileAs(t testing.TB, d *Dump, f Format) (dump, symbols string) {
	t.Helper()
	dir := t.TempDir()
	dump, symbols = filepath.Join(dir, "memory.dmp"), filepath.Join(dir, "symbols")
	if err := d.WriteFile(dump, f); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSymbols(symbols, PDBs|ISF|Images); err != nil {
		t.Fatal(err)
	}
	return dump, symbols
}

// SymbolKind says which symbol files to write.
type SymbolKind int

// Kinds of symbol files.
const (
	PDBs   SymbolKind = 1 << iota // in symbol-store layout
	ISF                           // the kernel's table, in the folder isf
	Images                        // PE files, in symbol-store layout
)

// imageFiles are the images that a machine can have loaded.
var imageFiles = []string{
	"ntoskrnl.exe", "keypad.sys", "ntdll.dll", "kernel32.dll", "svchost.exe", "explorer.exe", "quillpress.exe", "ferry.exe", "corner.exe",
	"wow64.dll", "wow64cpu.dll", "oldledger.exe", "wntdll.dll", "wkernel32.dll",
}

// WriteSymbols writes symbol files for every machine of this package.
func WriteSymbols(dir string, kinds SymbolKind) error {
	put := func(rel string, b []byte) error {
		p := filepath.Join(dir, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		return os.WriteFile(p, b, 0o644)
	}
	for rel, b := range SymbolFiles(kinds) {
		if err := put(rel, b); err != nil {
			return err
		}
	}
	return nil
}

// WriteSymbols writes the symbol files of this dump's machine. A relative's
// kernel has an ISF table only.
func (d *Dump) WriteSymbols(dir string, kinds SymbolKind) error {
	if d.m.opts.Relative == "" {
		return WriteSymbols(dir, kinds)
	}
	if err := WriteSymbols(dir, kinds&^ISF); err != nil {
		return err
	}
	nt := d.m.nt.im
	if err := os.RemoveAll(filepath.Join(dir, nt.PDB.Base())); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "isf"), 0o755); err != nil {
		return err
	}
	tables := []*Image{nt}
	if d.m.opts.NtdllTypes {
		ntdll := LoadImage("ntdll.dll")
		tables = append(tables, ntdll)
		if err := os.RemoveAll(filepath.Join(dir, ntdll.PDB.Base())); err != nil {
			return err
		}
	}
	for _, im := range tables {
		if err := os.WriteFile(filepath.Join(dir, "isf", im.ISFName()), im.isf(d.m.l), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// SymbolFiles returns symbol files by their path in a symbol store.
func SymbolFiles(kinds SymbolKind) map[string][]byte {
	files := map[string][]byte{}
	for _, f := range imageFiles {
		im := LoadImage(f)
		if kinds&PDBs != 0 {
			b, err := testdata.Images.ReadFile("images/" + im.PDB.Base())
			if err != nil {
				panic(err)
			}
			files[im.PDB.Base()+"/"+im.PDB.GUIDHex()+hexAge(im.PDB.Age)+"/"+im.PDB.Base()] = b
		}
		if kinds&Images != 0 {
			f = im.loadName()
			files[f+"/"+im.StoreKey()+"/"+f] = im.raw
		}
	}
	if kinds&ISF != 0 {
		nt := LoadImage("ntoskrnl.exe")
		files["isf/"+nt.ISFName()] = nt.ISF()
	}
	return files
}

func hexAge(age uint32) string { return fmt.Sprintf("%X", age) }
