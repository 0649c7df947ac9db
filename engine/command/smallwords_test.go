package command

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"kdap/engine/dumptest"
)

// structures is a process's heap with the lists and trees that the words here
// walk, by the documented layouts of wdm.h and winnt.h.
type structures struct {
	s                                *Session
	slist, avl, table, counted, bits uint64
	elements                         [3]uint64
}

func structuresDump(t *testing.T) structures {
	t.Helper()
	m := dumptest.SmallWith(dumptest.Options{})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "trees.exe", Image: "svchost.exe"})
	w := structures{slist: p.Alloc(0x10), avl: p.Alloc(0x68), table: p.Alloc(0x48), counted: p.Alloc(0x10), bits: p.Alloc(0x10)}
	q := p.Space.U64
	for i := range w.elements {
		w.elements[i] = p.Alloc(0x40)
		q(w.elements[i]+0x20, uint64(i)+0x1111) // an AVL element's data
		q(w.elements[i]+0x28, uint64(i)+0x2222) // a generic table's
	}
	e := w.elements
	// e[1] is the top, e[0] its left child, e[2] its right one.
	q(e[1]+8, e[0])
	q(e[1]+0x10, e[2])
	q(w.avl+0x10, e[1])
	p.Space.U32(w.avl+0x2c, 3)
	q(w.table, e[1])
	p.Space.U32(w.table+0x24, 3)

	list := [2]uint64{p.Alloc(0x10), p.Alloc(0x10)}
	q(list[0], list[1])
	q(w.slist, 7<<16|2)
	q(w.slist+8, list[0]|1)

	text := p.Alloc(0x20)
	n := p.Space.UTF16(text, "Harbour")
	q(w.counted, uint64(n)|uint64(n+2)<<16)
	q(w.counted+8, text)
	p.Space.Write(w.bits, binary.LittleEndian.AppendUint32(nil, 0xff01))

	w.s = writtenSession(t, m.Finish())
	for _, process := range dumpProcesses(t, w.s) {
		if process.name == "trees.exe" {
			answer(w.s, fmt.Sprintf(".process /p /r %x", process.addr))
		}
	}
	return w
}

func TestWalkWords(t *testing.T) {
	w := structuresDump(t)
	row := func(va uint64, dwords ...uint32) string {
		line := fmt.Sprintf("%016x ", va)
		for _, v := range dwords {
			line += fmt.Sprintf(" %08x", v)
		}
		return line + "\n"
	}
	var avl, generic strings.Builder
	for i, e := range w.elements {
		avl.WriteString(row(e+0x20, uint32(i)+0x1111, 0, uint32(i)+0x2222, 0))
		generic.WriteString(row(e+0x28, uint32(i)+0x2222, 0, 0, 0))
	}
	for line, want := range map[string]string{
		fmt.Sprintf("!rtlavl %x", w.avl):              "3 elements\n" + avl.String(),
		fmt.Sprintf("!gentable %x", w.table):          "3 elements\n" + generic.String(),
		fmt.Sprintf("!kdexts.ustr %x", w.counted):     fmt.Sprintf("String(14,16) at %s: Harbour\n", strings.TrimSpace(addressOf(w.s, w.counted+8))),
		fmt.Sprintf("!bitcount %x 4", w.bits):         "0x9 bits are set in 0x4 bytes\n",
		fmt.Sprintf("!bitcount %x 1", w.bits):         "0x1 bits are set in 0x1 bytes\n",
		"!rtlavl 1000":                                "Cannot read the table at 0000000000001000\n",
		"!dflink 1000":                                "Cannot read the link at 0000000000001000\n",
		fmt.Sprintf("!dflink %x 5", w.elements[2]+24): "",
	} {
		if got := answer(w.s, line); got != want {
			t.Errorf("%s:\n%swant:\n%s", line, got, want)
		}
	}
	got := answer(w.s, fmt.Sprintf("!slist %x", w.slist))
	if !strings.Contains(got, "   +0x000 Depth              : 2\n   +0x000 Sequence           : 7\n") || strings.Count(got[strings.Index(got, "SLIST CONTENTS:"):], "\n") != 3 {
		t.Errorf("!slist:\n%s", got)
	}
	forward, backward := answer(w.s, "!dflink nt!PsActiveProcessHead"), answer(w.s, "!dblink nt!PsActiveProcessHead")
	f, b := strings.Split(strings.TrimSpace(forward), "\n"), strings.Split(strings.TrimSpace(backward), "\n")
	if len(f) != len(dumpProcesses(t, w.s)) || len(f) != len(b) || f[0] != b[len(b)-1] {
		t.Errorf("forward:\n%sbackward:\n%s", forward, backward)
	}
}

// addressOf is the pointer at an address, as ? shows it.
func addressOf(s *Session, va uint64) string {
	got := answer(s, fmt.Sprintf("? poi(%x)", va))
	return got[strings.LastIndexByte(got, '=')+1:]
}

// A tree that leads back to itself ends with a word about it.
func TestBrokenTree(t *testing.T) {
	m := dumptest.SmallWith(dumptest.Options{})
	p := m.AddProcess(dumptest.ProcessOptions{PPID: 4, Name: "trees.exe", Image: "svchost.exe"})
	table, element := p.Alloc(0x68), p.Alloc(0x40)
	p.Space.U64(table+0x10, element)
	p.Space.U64(element+0x10, element)
	s := writtenSession(t, m.Finish())
	for _, process := range dumpProcesses(t, s) {
		if process.name == "trees.exe" {
			answer(s, fmt.Sprintf(".process /p %x", process.addr))
		}
	}
	if got := answer(s, fmt.Sprintf("!rtlavl %x", table)); !strings.HasSuffix(got, fmt.Sprintf("The tree comes back to %016x after 1 elements\n", element)) {
		t.Errorf("!rtlavl:\n%s", got)
	}
}

func TestSavedState(t *testing.T) {
	s := writtenSession(t, dumptest.Small())
	processes := dumpProcesses(t, s)
	before := answer(s, ".process")
	answer(s, "r $t0 = 1; n 10; .push /r")
	answer(s, fmt.Sprintf("r $t0 = 2; n 16; .process /p %x", processes[len(processes)-1].addr))
	if got := answer(s, ".pop /r"); got != "" {
		t.Errorf(".pop says %q", got)
	}
	for line, want := range map[string]string{
		".process": before, "? @$t0": "Evaluate expression: 1 = 00000000`00000001\n", "n": "base is 10\n", ".pop": "No state was kept with .push\n",
		".push /x": "             ^ Syntax error in '.push /x'\n",
	} {
		if got := answer(s, line); strings.TrimLeft(got, " ") != strings.TrimLeft(want, " ") && !strings.Contains(got, strings.TrimSpace(want)) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	for range maxStates {
		_ = s.Execute(t.Context(), ".push", Output{Out: &strings.Builder{}})
	}
	if got := answer(s, ".push"); !strings.HasPrefix(got, "More than 1000 states") {
		t.Errorf("one state too many: %q", got)
	}
}

func TestOldSpellings(t *testing.T) {
	s := writtenSession(t, dumptest.Small())
	for old, now := range map[string]string{
		"!kb 3": "kb 3", "!kv 2": "kv 2", "!dt nt!_LIST_ENTRY": "dt nt!_LIST_ENTRY", "!do nt!_LIST_ENTRY": "dt nt!_LIST_ENTRY",
		"!exr -1": ".exr -1", "!cxr": ".cxr", "!trap": ".trap", "!tss": ".tss", ".excr": ".ecxr", ".browse r": "r",
		"!exts.kb 1": "kb 1", "!ext.kb 1": "kb 1", "!ntsdexts.error 5": "!error 5", "!kdexts.gflag": "!gflag",
	} {
		want := strings.ReplaceAll(answer(s, now), "'"+now, "'"+old)
		if got := answer(s, old); got != want {
			t.Errorf("%s:\n%s%s:\n%s", old, got, now, want)
		}
	}
}

func TestSymbolLoops(t *testing.T) {
	s := writtenSession(t, dumptest.Small())
	const want = "KeWaitForSingleObject nt KeWaitForSingleObject\n"
	if got := answer(s, "!for_each_function -m:nt -p:KeWaitForS* -c:.echo @#FunctionName @#ModName @#FunctionName"); got != want {
		t.Errorf("!for_each_function: %q, want %q", got, want)
	}
	if got := answer(s, "!for_each_function -m:n* -p:KeWaitForS*"); got != "nt!KeWaitForSingleObject\n" {
		t.Errorf("without commands: %q", got)
	}
	if got := answer(s, "!for_each_function -m:nt -p:KeWaitFor* -c:.break"); got != "" {
		t.Errorf(".break: %q", got)
	}
	if got := answer(s, "!for_each_function -p:x"); !strings.Contains(got, "are needed") {
		t.Errorf("without a module: %q", got)
	}
	f := ferryDump(t)
	for thread := range f.s.scope.process.Threads(t.Context()) {
		answer(f.s, fmt.Sprintf(".thread %x", thread.Addr()))
		break
	}
	frames := strings.Split(answer(f.s, "kc"), "\n")
	for i, line := range frames {
		if strings.HasSuffix(line, "ferry!MoveCars") {
			answer(f.s, fmt.Sprintf(".frame %x", i-1))
		}
	}
	names := strings.Fields(answer(f.s, "!for_each_local"))
	if len(names) == 0 {
		t.Fatal("the frame has no variables")
	}
	if got := strings.Fields(answer(f.s, "!for_each_local .echo @#Local")); strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("!for_each_local: %q, want %q", got, names)
	}
}

// The block is that of uf: one block of code, with where its jumps lead.
func TestDMLFlow(t *testing.T) {
	s := writtenSession(t, dumptest.Small())
	got := answer(s, ".dml_flow nt!KeWaitForSingleObject nt!KeWaitForSingleObject")
	if !strings.HasPrefix(got, "<No previous node>\n\nnt!KeWaitForSingleObject:\n") {
		t.Errorf(".dml_flow:\n%s", got)
	}
	if got := answer(s, ".dml_flow nt!KeWaitForSingleObject nt"); got != "No code found, aborting\n" {
		t.Errorf("an address out of the function: %q", got)
	}
}

func TestKernelWords(t *testing.T) {
	s := writtenSession(t, dumptest.Small())
	if got := answer(s, "!zombies"); !strings.HasPrefix(got, "PROCESS ") || !strings.HasSuffix(got, " has 0 threads\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("!zombies:\n%s", got)
	}
	if got := answer(s, "!kuser"); !strings.HasPrefix(got, "_KUSER_SHARED_DATA at fffff78000000000\nTickCount:    fa00000 * ") || !strings.HasSuffix(got, "SystemRoot: 'C:\\Windows'\n") {
		t.Errorf("!kuser:\n%s", got)
	}
	if got := answer(s, "!processfields"); !strings.Contains(got, "\n    Pcb:                               0x0\n") {
		t.Errorf("!processfields:\n%.300s", got)
	}
	var thread uint64
	for _, p := range dumpProcesses(t, s) {
		if p.name == "svchost.exe" {
			for th := range s.sys.Process(p.addr).Threads(t.Context()) {
				thread = th.Addr()
				break
			}
		}
	}
	got := answer(s, fmt.Sprintf("!findthreads -t %x", thread))
	if !strings.HasPrefix(got, "Found 1 threads matching the search criteria\n\nFound ") || !strings.Contains(got, fmt.Sprintf("THREAD 0x%016x", thread)) {
		t.Errorf("!findthreads -t:\n%s", got)
	}
	if got := answer(s, "!findthreads -a nt!KeRemovePriQueue -l 20"); strings.Count(got, "\nFound ") != 3 {
		t.Errorf("!findthreads -a:\n%s", got)
	}
}
