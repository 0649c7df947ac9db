package dumptest

import "time"

// Corners is a machine whose stacks are unusual: threads that were stopped in
// prologs, epilogs and functions without unwind data, frames of every form,
// page table entries of every state.
func Corners() *Dump {
	return corners(Options{Processors: 12, InvalidPteMask: 0x0000_1000_0000_0000, SmallPages: true})
}

// CornersLA57 is the same machine with five levels of page tables.
func CornersLA57() *Dump { return corners(Options{Processors: 12, LA57: true}) }

// CornersOf is that machine with a relative of the kernel ("older", "newer").
func CornersOf(relative string) *Dump {
	return corners(Options{Processors: 12, Relative: relative})
}

func corners(o Options) *Dump {
	m := NewMachine(o)
	sys := m.System()
	sys.AddThread(ThreadOptions{Stack: []string{"ExpLuidThread", "ExpIdleHelper+0x80", "KeDelayExecutionThread"}, Reason: "DelayExecution", Transition: true})
	sys.AddThread(ThreadOptions{Stack: []string{"ExpWorkerThread", "KeRemovePriQueue"}, Reason: "WrQueue", NotResident: true})
	p := m.AddProcess(ProcessOptions{PPID: 4, Name: "corner.exe", Image: "corner.exe", Folder: `C:\Corner`, Session: 1, Age: 3 * time.Minute})
	p.AddThread(ThreadOptions{Stack: []string{"corner!mainCRTStartup", "kernel32!Sleep", "ntdll!NtDelayExecution"}})
	many := []string{"corner!CornerThread", "corner!CornerMany"}
	with := func(more ...string) []string { return append(append([]string{}, many...), more...) }
	p.AddThread(ThreadOptions{Stack: with("corner!CornerVariable+0x60", "corner!CornerHuge", "corner!CornerLarge", "kernel32!Sleep", "ntdll!NtDelayExecution")})
	p.AddThread(ThreadOptions{Stack: with("corner!CornerVariable#3+0x120", "corner!CornerHuge", "corner!CornerLarge", "kernel32!Sleep", "ntdll!NtDelayExecution")})
	p.AddThread(ThreadOptions{Stack: with("corner!CornerChained", "corner!CornerXmm", "corner!CornerLarge", "kernel32!Sleep", "ntdll!NtDelayExecution"), Transition: true})
	p.AddThread(ThreadOptions{Stack: with("corner!CornerVariable+0x60"), Fault: true})
	cpu := 1
	for _, r := range []struct {
		where string
		stack []string
	}{
		{"body", []string{"corner!CornerThread", "corner!CornerLeaf"}},
		{"prolog0", many},
		{"prolog1", many},
		{"prolog5", many},
		{"prolog9", many},
		{"epilog0", many},
		{"epilog3", many},
		{"epilog8", many},
		{"prolog2", with("corner!CornerVariable")},
		{"body", with("corner!CornerVariable+0x60")},
		{"body", with("corner!CornerChained", "corner!CornerXmm")},
	} {
		cpu++
		p.AddThread(ThreadOptions{Stack: r.stack, Running: cpu, Where: r.where})
	}
	p.AddPageStates()
	return m.Finish()
}
