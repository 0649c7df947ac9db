package analyze

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/arm64"
	"kdap/engine/dump"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// A Detail is one more fact of a crash: a label of the debugger's and a text.
type Detail struct{ Label, Text string }

// An Exception is an exception record and where it lies, 0 for one that
// parameters alone make up.
type Exception struct {
	dump.Exception
	At uint64
}

// An examiner looks at one crash.
type examiner struct {
	ctx     context.Context
	sys     *windows.System
	space   memory.Space
	modules *windows.ModuleSet
	r       *Report
}

func (x *examiner) arg(n int) uint64 { return x.r.param(n) }

func (x *examiner) detail(label, layout string, args ...any) {
	x.r.Details = append(x.r.Details, Detail{label, fmt.Sprintf(layout, args...)})
}

// missing notes what the dump does not hold.
func (x *examiner) missing(what string, err error) {
	x.r.Missing = append(x.r.Missing, fmt.Errorf("%s: %w", what, err))
}

var errUnknown = errors.New("the dump does not tell")

// orUnknown is for what could be read and says nothing.
func orUnknown(err error) error {
	if err == nil {
		return errUnknown
	}
	return err
}

// suspect names code outside of the stack that is to be blamed when no frame is.
func (x *examiner) suspect(va uint64, why string) {
	if x.r.suspect == 0 && va != 0 {
		x.r.suspect, x.r.suspectWhy = va, why
	}
}

// run looks at what the family says.
func (x *examiner) run() {
	f := x.r.family()
	if at := x.arg(f.exception); at != 0 {
		x.readException(at)
	}
	if at := x.arg(f.context); at != 0 {
		x.readContext(at)
	}
	if at := x.arg(f.trap); at != 0 {
		x.readTrap(at)
	}
	if x.r.Exception == nil && f.code > 0 {
		x.r.Exception = &Exception{Exception: dump.Exception{Code: uint32(x.arg(f.code)), Address: x.arg(f.ip)}}
	}
	if ip := x.arg(f.ip); ip != 0 {
		x.r.FaultIP = ip
		x.suspect(ip, "the instruction at fault is its")
	}
	x.touched(f)
	if f.examine != nil {
		f.examine(x)
	}
}

// touched tells what memory the code at fault touched.
func (x *examiner) touched(f family) {
	if f.address == 0 {
		return
	}
	how := "READ"
	if f.access != 0 {
		how = accessOf(x.r.Plain(), x.arg(f.access))
	}
	switch x.r.Plain() {
	case 0xbe:
		how = "WRITE"
	case 0xfc:
		how = "EXECUTE"
	}
	x.touchedAt(how, x.arg(f.address))
	if f.irql != 0 {
		x.detail("CURRENT_IRQL", "%x", x.arg(f.irql))
	}
}

func (x *examiner) touchedAt(how string, va uint64) {
	text := fmt.Sprintf("%016x", va)
	if use := x.use(va); use != "" {
		text += " " + use
	}
	x.detail(how+"_ADDRESS", "%s", text)
	if d, ok := x.unloaded(va); ok {
		x.r.Unloaded = d.Name
		x.suspect(va, fmt.Sprintf("the memory that was touched belonged to %s, which had been unloaded", d.Name))
	}
}

// uses are the debugger's words for what the kernel uses addresses for.
var uses = map[string]string{
	"NonPagedPool": "Nonpaged pool", "PagedPool": "Paged pool", "SpecialPoolPaged": "Special pool", "SpecialPoolNonPaged": "Special pool",
	"SystemCache": "System cache", "SystemPtes": "System PTEs", "KernelStacks": "Kernel stack", "DriverImages": "Driver image",
	"SessionSpace": "Session space", "SessionGlobalSpace": "Session space", "PageTables": "Page tables", "PfnDatabase": "PFN database",
	"HyperSpace": "Hyperspace", "SecureNonPagedPool": "Nonpaged pool", "KernelShadowStacks": "Kernel shadow stack",
}

// use says what the kernel uses an address for, "" where that is not known.
func (x *examiner) use(va uint64) string {
	if m := x.modules.Find(va); m != nil {
		return "(" + m.SymbolAt(x.ctx, va).String() + ")"
	}
	if d, ok := x.unloaded(va); ok {
		return fmt.Sprintf("(<Unloaded_%s>+%#x)", d.Name, va-d.Start)
	}
	r, err := x.sys.KernelUse(va)
	if err != nil || r.Name == windows.UnusedVA {
		return ""
	}
	if words, ok := uses[r.Name]; ok {
		return words
	}
	return r.Name
}

// unloaded returns the driver that lay where an address leads.
func (x *examiner) unloaded(va uint64) (windows.UnloadedDriver, bool) {
	for d, err := range x.sys.UnloadedDrivers() {
		if err == nil && d.Start != 0 && va >= d.Start && va < d.End {
			return d, true
		}
	}
	return windows.UnloadedDriver{}, false
}

func (x *examiner) readException(at uint64) {
	b, err := memory.ReadBytes(x.space, at, dump.ExceptionSize)
	if err != nil {
		x.missing(fmt.Sprintf("exception record at %#x", at), err)
		return
	}
	x.r.Exception = &Exception{dump.ParseException(b), at}
}

// readContext reads the registers of a CONTEXT.
func (x *examiner) readContext(at uint64) {
	size, parse := amd64.ContextSize, func(b []byte) (arch.Registers, error) { return amd64.ParseContext(b) }
	if x.sys.Dump().Header.MachineImageType == machineARM64 {
		size, parse = arm64.ContextSize, func(b []byte) (arch.Registers, error) { return arm64.ParseContext(b) }
	}
	b, err := memory.ReadBytes(x.space, at, size)
	var regs arch.Registers
	if err == nil {
		regs, err = parse(b)
	}
	if err != nil {
		x.missing(fmt.Sprintf("context record at %#x", at), err)
		return
	}
	x.r.Registers, x.r.Context = regs, at
}

const machineARM64 = 0xaa64 // IMAGE_FILE_MACHINE_ARM64

var errNoTrapFrame = errors.New("what is there is no trap frame")

// readTrap takes the registers of a trap frame for the place of the fault. They
// begin the stack only where the stack of the crash does not lead there.
func (x *examiner) readTrap(at uint64) {
	if x.sys.Dump().Header.MachineImageType == machineARM64 {
		return
	}
	t, err := amd64.ReadTrapFrame(x.space, at, x.sys.TrapFrameLayout())
	if err == nil && (t.RIP == 0 || t.RSP == 0 || x.modules.Find(t.RIP) == nil) {
		err = errNoTrapFrame
	}
	if err != nil {
		x.missing(fmt.Sprintf("trap frame at %#x", at), err)
		return
	}
	c := t.Context()
	x.r.TrapFrame, x.r.trapRegisters = at, &c
}

// useThread makes the stack of a thread the one that counts.
func (x *examiner) useThread(addr uint64) bool {
	if addr == 0 {
		return false
	}
	t := x.sys.Thread(addr)
	regs, err := t.Registers(x.ctx)
	if err != nil {
		x.missing(fmt.Sprintf("thread %#x", addr), err)
		return false
	}
	x.r.Registers, x.r.Thread = regs, addr
	return true
}

// blameModule blames a module that parameters name.
func (x *examiner) blameModule(va uint64, why string) {
	if x.modules.Find(va) != nil {
		x.suspect(va, why)
		x.r.suspectFirst = true
	}
}

// text reads characters that end with a zero.
func (x *examiner) text(at uint64) string {
	const longest = 64
	b := make([]byte, longest)
	n, _ := x.space.Read(at, b)
	s, _, _ := strings.Cut(string(b[:max(n, 0)]), "\x00")
	return s
}
