package command

import (
	"context"
	"strings"

	"kdap/engine/memory"
)

func cmdGflag() *Command {
	return &Command{
		Names: []string{"!gflag"}, Args: "[-?]",
		Short: "show the global flags: of the kernel, or of the process in a user dump",
		Run:   runGflag,
	}
}

// globalFlags are the bits of NtGlobalFlag with the abbreviations that gflags
// has for them. Source: the documented list of GFlags (reference of flags).
var globalFlags = []struct {
	bit        uint32
	word, text string
}{
	{0x1, "soe", "Stop on exception"},
	{0x2, "sls", "Show loader snaps"},
	{0x4, "dic", "Debug initial command"},
	{0x8, "shg", "Stop on hung GUI"},
	{0x10, "htc", "Enable heap tail checking"},
	{0x20, "hfc", "Enable heap free checking"},
	{0x40, "hpc", "Enable heap parameter checking"},
	{0x80, "hvc", "Enable heap validation on call"},
	{0x100, "ptc", "Enable pool tail checking"},
	{0x200, "pfc", "Enable pool free checking"},
	{0x400, "ptg", "Enable pool tagging"},
	{0x800, "htg", "Enable heap tagging"},
	{0x1000, "ust", "Create user mode stack trace database"},
	{0x2000, "kst", "Create kernel mode stack trace database"},
	{0x4000, "otl", "Maintain a list of objects for each type"},
	{0x8000, "htd", "Enable heap tagging by DLL"},
	{0x10000, "dse", "Disable stack extensions"},
	{0x20000, "d32", "Enable debugging of Win32 subsystem"},
	{0x40000, "ksl", "Enable loading of kernel debugger symbols"},
	{0x80000, "dps", "Disable paging of kernel stacks"},
	{0x100000, "scb", "Enable system critical breaks"},
	{0x200000, "dhc", "Disable heap coalesce on free"},
	{0x400000, "ece", "Enable close exception"},
	{0x800000, "eel", "Enable exception logging"},
	{0x1000000, "eot", "Enable object handle type tagging"},
	{0x2000000, "hpa", "Enable page heap"},
	{0x4000000, "dwl", "Debug WinLogon"},
	{0x8000000, "ddp", "Buffer DbgPrint output"},
	{0x10000000, "cse", "Early critical section event creation"},
	{0x20000000, "sue", "Stop on unhandled user-mode exception"},
	{0x40000000, "bhd", "Enable bad handles detection"},
	{0x80000000, "dpd", "Disable protected DLL verification"},
}

func runGflag(_ context.Context, s *Session, c *Call) error {
	if w := c.Word(); w != "" {
		if w == "-?" || w == "/?" {
			s.printf("usage: !gflag\nFlags:\n")
			for _, f := range globalFlags {
				s.printf("    %08x %s - %s\n", f.bit, f.word, f.text)
			}
			return nil
		}
		if strings.IndexByte("+-0123456789", w[0]) >= 0 {
			return &refusal{refuseMemory}
		}
		return Failf("Invalid option %s", w)
	}
	v, err := s.globalFlag()
	if err != nil {
		return s.failure(err, "Unable to read NtGlobalFlag")
	}
	s.printf("Current NtGlobalFlag contents: 0x%08x\n", v)
	for _, f := range globalFlags {
		if v&f.bit != 0 {
			s.printf("    %s - %s\n", f.word, f.text)
		}
	}
	return nil
}

// Of the PEB, by pointer size: NtGlobalFlag (public symbols, all versions).
var pebGlobalFlag = map[int]uint64{8: 0xbc, 4: 0x68}

// globalFlag is the kernel's, or the process's where there is no kernel.
func (s *Session) globalFlag() (uint32, error) {
	if s.debuggee.kernelMode() {
		v, err := s.sys.GlobalUint("NtGlobalFlag", 4)
		return uint32(v), err
	}
	b, err := s.processBlock()
	if err != nil {
		return 0, err
	}
	v, err := memory.ReadUint(s.space(), b.peb+pebGlobalFlag[b.pointer], 4)
	return uint32(v), err
}
