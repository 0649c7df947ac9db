package command

import (
	"context"
	"fmt"
	"time"

	"kdap/engine/windows"
)

// The 32-bit blocks of a WOW64 process, which !peb and !teb print before the
// 64-bit ones. Their values are written as wide as the effective machine's.

func (s *Session) pointerText(v uint64) string {
	if s.machine() == x86Machine {
		return fmt.Sprintf("%08x", v)
	}
	return fmt.Sprintf("%016x", v)
}

// member32 reads a member of a 32-bit block and writes it, or says that it cannot
// be read.
func member32(text func(uint64) string, read func(off uint64) (uint64, error), off uint64) string {
	v, err := read(off)
	if err != nil {
		return notAccessible
	}
	return text(v)
}

func hexText32(v uint64) string     { return fmt.Sprintf("%x", v) }
func decimalText32(v uint64) string { return fmt.Sprint(v) }
func yesNoNumber(v uint64) string   { return yesNoText(v != 0) }

// showPeb32 prints the 32-bit PEB of a WOW64 process. It reports whether there
// is one.
func (s *Session) showPeb32(ctx context.Context, p windows.Process) (bool, error) {
	addr, err := p.PEB32()
	if err != nil || addr == 0 {
		return false, nil
	}
	b, err := p.Block32At(addr)
	if err == nil {
		_, err = b.U8(windows.PEB32InheritedAddressSpace)
	}
	if err != nil {
		s.notef("32-bit PEB: %v", err)
		return false, nil
	}
	s.printf("Wow64 PEB32 at %x\n", addr)
	row := func(label, text string) { s.printf("    %s%s\n", label, text) }
	row("InheritedAddressSpace:    ", member32(yesNoNumber, b.U8, windows.PEB32InheritedAddressSpace))
	row("ReadImageFileExecOptions: ", member32(yesNoNumber, b.U8, windows.PEB32ReadImageFileExecOptions))
	row("BeingDebugged:            ", member32(yesNoNumber, b.U8, windows.PEB32BeingDebugged))
	row("ImageBaseAddress:         ", member32(s.pointerText, b.U32, windows.PEB32ImageBaseAddress))
	row("NtGlobalFlag:             ", member32(hexText32, b.U32, windows.PEB32NtGlobalFlag))
	if t, err := s.sys.Type("_PEB32"); err == nil {
		if f := t.Field("NtGlobalFlag2"); f != nil {
			row("NtGlobalFlag2:            ", member32(hexText32, b.U32, f.Offset))
		}
	}
	row("Ldr                       ", member32(s.pointerText, b.U32, windows.PEB32Ldr))
	s.showLdr32(ctx, p, b)
	row("SubSystemData:     ", member32(s.pointerText, b.U32, windows.PEB32SubSystemData))
	row("ProcessHeap:       ", member32(s.pointerText, b.U32, windows.PEB32ProcessHeap))
	row("ProcessParameters: ", member32(s.pointerText, b.U32, windows.PEB32ProcessParameters))
	return true, s.showParameters32(ctx, b)
}

// showLdr32 prints the lists of the 32-bit loader and its modules in load order.
func (s *Session) showLdr32(ctx context.Context, p windows.Process, peb windows.Block32) {
	ldr, err := peb.Block(windows.PEB32Ldr)
	if err != nil {
		s.notef("32-bit Ldr: %v", err)
		return
	}
	s.printf("    Ldr.Initialized:          %s\n", member32(yesNoNumber, ldr.U8, windows.Ldr32Initialized))
	for _, l := range []struct {
		name string
		off  uint64
	}{
		{"InInitializationOrderModuleList", windows.Ldr32InInit},
		{"InLoadOrderModuleList", windows.Ldr32InLoad},
		{"InMemoryOrderModuleList", windows.Ldr32InMemory},
	} {
		s.printf("    %-36s %s . %s\n", "Ldr."+l.name+":",
			member32(s.pointerText, ldr.U32, l.off), member32(s.pointerText, ldr.U32, l.off+word32))
	}
	s.printf("                    Base TimeStamp                     Module\n")
	mods, errs := p.LoaderModules32(ctx, peb)
	for _, m := range mods {
		s.printLdrModule(m)
	}
	for _, err := range errs {
		s.notef("%v", err)
	}
}

// printLdrModule prints a module's row of !peb.
func (s *Session) printLdrModule(m *windows.Module) {
	stamp := time.Unix(int64(m.TimeDateStamp), 0).UTC().Format("Jan 02 15:04:05 2006")
	s.printf("    %20x %08x %s %s\n", m.Base, m.TimeDateStamp, stamp, visible(m.Path))
}

func (s *Session) showParameters32(ctx context.Context, peb windows.Block32) error {
	params, err := peb.Block(windows.PEB32ProcessParameters)
	if err != nil {
		s.notef("32-bit ProcessParameters: %v", err)
	}
	for _, row := range []struct {
		label string
		off   uint64
	}{
		{"CurrentDirectory:  ", windows.Params32CurrentDirectory},
		{"WindowTitle:  ", windows.Params32WindowTitle},
		{"ImageFile:    ", windows.Params32ImagePath},
		{"CommandLine:  ", windows.Params32CommandLine},
		{"DllPath:      ", windows.Params32DLLPath},
	} {
		text := "< Name not readable >"
		if err == nil {
			if t, ok, serr := params.String(row.off); ok && serr == nil {
				text = visible(t)
			}
		}
		s.printf("    %s'%s'\n", row.label, text)
	}
	if err != nil {
		return nil
	}
	s.printf("    Environment:  %s\n", member32(s.pointerText, params.U32, windows.Params32Environment))
	return s.showEnvironment(ctx, params.EnvironmentStrings())
}

// showTeb32 prints the 32-bit TEB of a thread. It reports whether it has one.
func (s *Session) showTeb32(t windows.Thread) bool {
	side, err := t.WOW64()
	if err != nil || side.TEB32 == 0 {
		return false
	}
	p, err := t.Process()
	if err != nil {
		return false
	}
	b, err := p.Block32At(side.TEB32)
	if err != nil {
		return false
	}
	s.printf("Wow64 TEB32 at %s\n", s.pointerText(side.TEB32))
	for _, row := range []struct {
		label string
		text  func(uint64) string
		off   uint64
	}{
		{"ExceptionList:", s.pointerText, windows.TEB32ExceptionList},
		{"StackBase:", s.pointerText, windows.TEB32StackBase},
		{"StackLimit:", s.pointerText, windows.TEB32StackLimit},
		{"SubSystemTib:", s.pointerText, windows.TEB32SubSystemTib},
		{"FiberData:", s.pointerText, windows.TEB32FiberData},
		{"ArbitraryUserPointer:", s.pointerText, windows.TEB32Arbitrary},
		{"Self:", s.pointerText, windows.TEB32Self},
		{"EnvironmentPointer:", s.pointerText, windows.TEB32Environment},
		{"ClientId:", s.pointerText, windows.TEB32Process},
		{"RpcHandle:", s.pointerText, windows.TEB32RPCHandle},
		{"Tls Storage:", s.pointerText, windows.TEB32TLS},
		{"PEB Address:", s.pointerText, windows.TEB32PEB},
		{"LastErrorValue:", decimalText32, windows.TEB32LastError},
		{"LastStatusValue:", hexText32, windows.TEB32LastStatus},
		{"Count Owned Locks:", decimalText32, windows.TEB32OwnedLocks},
		{"HardErrorMode:", decimalText32, windows.TEB32HardErrorsMode},
	} {
		text := member32(row.text, b.U32, row.off)
		if row.off == windows.TEB32Process {
			text += " . " + member32(row.text, b.U32, windows.TEB32Thread)
		}
		s.printf("    %-22s%s\n", row.label, text)
	}
	return true
}
