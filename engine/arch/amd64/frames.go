package amd64

import (
	"encoding/binary"
	"fmt"

	"kdap/engine/memory"
)

// A FrameLayout says where the members of one of the kernel's register
// structures lie.
type FrameLayout struct {
	Name    string // of the type, "_KTRAP_FRAME"
	Size    uint32
	Offsets map[string]uint32 // by member
}

// maxFrameSize bounds what a symbol file may claim for these structures.
const maxFrameSize = 0x1000

// Resolve returns the layout that a symbol file gives: member returns the offset
// of a member. What the symbol file lacks keeps its default.
func (l FrameLayout) Resolve(size uint64, member func(name string) (uint64, bool)) FrameLayout {
	out := FrameLayout{l.Name, l.Size, make(map[string]uint32, len(l.Offsets))}
	if size > 0 && size <= maxFrameSize {
		out.Size = uint32(size)
	}
	for name, def := range l.Offsets {
		out.Offsets[name] = def
		if off, ok := member(name); ok && off < uint64(out.Size) {
			out.Offsets[name] = uint32(off)
		}
	}
	return out
}

// The layouts below are those of the public symbols of the x64 kernel, unchanged
// from Windows 10 1507 to Windows 11; checked against 19041's. _KSWITCH_FRAME is
// in the symbols of some builds only.
var (
	DefaultTrapFrame = FrameLayout{"_KTRAP_FRAME", 0x190, map[string]uint32{
		"PreviousMode": 0x28, "PreviousIrql": 0x29, "ExceptionActive": 0x2b, "MxCsr": 0x2c,
		"Rax": 0x30, "Rcx": 0x38, "Rdx": 0x40, "R8": 0x48, "R9": 0x50, "R10": 0x58, "R11": 0x60,
		"Xmm0": 0x70, "Xmm1": 0x80, "Xmm2": 0x90, "Xmm3": 0xa0, "Xmm4": 0xb0, "Xmm5": 0xc0,
		"FaultAddress": 0xd0, "Dr0": 0xd8, "Dr1": 0xe0, "Dr2": 0xe8, "Dr3": 0xf0, "Dr6": 0xf8, "Dr7": 0x100,
		"SegDs": 0x130, "SegEs": 0x132, "SegFs": 0x134, "SegGs": 0x136,
		"TrapFrame": 0x138, "Rbx": 0x140, "Rdi": 0x148, "Rsi": 0x150, "Rbp": 0x158, "ErrorCode": 0x160,
		"Rip": 0x168, "SegCs": 0x170, "EFlags": 0x178, "Rsp": 0x180, "SegSs": 0x188,
	}}
	DefaultSwitchFrame = FrameLayout{"_KSWITCH_FRAME", 0x40, map[string]uint32{
		"MxCsr": 0x28, "ApcBypass": 0x2c, "Rbp": 0x30, "Return": 0x38,
	}}
	DefaultSpecialRegisters = FrameLayout{"_KSPECIAL_REGISTERS", 0xf0, map[string]uint32{
		"Cr0": 0, "Cr2": 8, "Cr3": 0x10, "Cr4": 0x18,
		"KernelDr0": 0x20, "KernelDr1": 0x28, "KernelDr2": 0x30, "KernelDr3": 0x38, "KernelDr6": 0x40, "KernelDr7": 0x48,
		"Gdtr": 0x50, "Idtr": 0x60, "Tr": 0x70, "Ldtr": 0x72, "MxCsr": 0x74, "DebugControl": 0x78,
		"Cr8": 0xa0, "MsrGsBase": 0xa8, "MsrGsSwap": 0xb0, "MsrStar": 0xb8, "MsrLStar": 0xc0, "MsrCStar": 0xc8,
		"MsrSyscallMask": 0xd0, "Xcr0": 0xd8,
	}}
)

// frameBytes is a structure as read; a member outside of it reads as zero.
type frameBytes struct {
	l FrameLayout
	b []byte
}

func readFrame(mem memory.Space, at uint64, l FrameLayout) (frameBytes, error) {
	if l.Size > maxFrameSize {
		return frameBytes{}, fmt.Errorf("%s of %#x bytes", l.Name, l.Size)
	}
	b, err := memory.ReadBytes(mem, at, int(l.Size))
	if err != nil {
		return frameBytes{}, fmt.Errorf("%s at %#x: %w", l.Name, at, err)
	}
	return frameBytes{l, b}, nil
}

func (f frameBytes) bytes(member string, n int) []byte {
	off, ok := f.l.Offsets[member]
	if !ok || int(off)+n > len(f.b) {
		return make([]byte, n)
	}
	return f.b[off : int(off)+n]
}

func (f frameBytes) u16(member string) uint16 {
	return binary.LittleEndian.Uint16(f.bytes(member, 2))
}

func (f frameBytes) u32(member string) uint32 {
	return binary.LittleEndian.Uint32(f.bytes(member, 4))
}

func (f frameBytes) u64(member string) uint64 {
	return binary.LittleEndian.Uint64(f.bytes(member, 8))
}

// A TrapFrame is what the kernel saves when an interrupt, an exception or a system
// call enters it: the volatile registers and those that the processor pushed.
type TrapFrame struct {
	Addr         uint64
	PreviousMode uint8
	PreviousIrql uint8
	// Active is what entered the kernel: 0 an interrupt, 1 an exception, 2 a
	// system call, which leaves the volatile registers out of the frame.
	Active uint8
	MXCSR  uint32

	RAX, RCX, RDX, R8, R9, R10, R11 uint64
	RBX, RSI, RDI                   uint64 // saved on some ways only
	RBP                             uint64
	XMM                             [6][16]byte

	FaultAddress uint64
	ErrorCode    uint64
	Previous     uint64 // trap frame before this one, on some ways

	RIP, RSP uint64
	EFlags   uint32
	CS, SS   uint16
}

// ReadTrapFrame reads the KTRAP_FRAME at an address. Its content is not checked.
func ReadTrapFrame(mem memory.Space, at uint64, l FrameLayout) (*TrapFrame, error) {
	f, err := readFrame(mem, at, l)
	if err != nil {
		return nil, err
	}
	t := &TrapFrame{
		Addr:         at,
		PreviousMode: f.bytes("PreviousMode", 1)[0],
		PreviousIrql: f.bytes("PreviousIrql", 1)[0],
		Active:       f.bytes("ExceptionActive", 1)[0],
		MXCSR:        f.u32("MxCsr"),
		RAX:          f.u64("Rax"), RCX: f.u64("Rcx"), RDX: f.u64("Rdx"),
		R8: f.u64("R8"), R9: f.u64("R9"), R10: f.u64("R10"), R11: f.u64("R11"),
		RBX: f.u64("Rbx"), RSI: f.u64("Rsi"), RDI: f.u64("Rdi"), RBP: f.u64("Rbp"),
		FaultAddress: f.u64("FaultAddress"), ErrorCode: f.u64("ErrorCode"), Previous: f.u64("TrapFrame"),
		RIP: f.u64("Rip"), RSP: f.u64("Rsp"), EFlags: f.u32("EFlags"), CS: f.u16("SegCs"), SS: f.u16("SegSs"),
	}
	for i := range t.XMM {
		copy(t.XMM[i][:], f.bytes(fmt.Sprintf("Xmm%d", i), 16))
	}
	return t, nil
}

// activeException is the largest value of Active for which the volatile
// registers were saved.
const activeException = 1

// Context returns the registers that a trap frame has; the others are zero.
func (t *TrapFrame) Context() Context {
	c := Context{Flags: ContextControl | ContextInteger, RIP: t.RIP, EFlags: t.EFlags, CS: t.CS, SS: t.SS}
	c.GPR[RSP], c.GPR[RBP] = t.RSP, t.RBP
	t.ApplyVolatile(&c)
	return c
}

// ApplyVolatile sets the registers that calls do not preserve. It completes a
// context that Step led across the machine frame within this trap frame. The
// frame of a system call has none: what calls do not preserve is lost there.
func (t *TrapFrame) ApplyVolatile(c *Context) {
	if t.Active > activeException {
		return
	}
	c.GPR[RAX], c.GPR[RCX], c.GPR[RDX] = t.RAX, t.RCX, t.RDX
	c.GPR[R8], c.GPR[R9], c.GPR[R10], c.GPR[R11] = t.R8, t.R9, t.R10, t.R11
	c.Unknown &^= 1<<RAX | 1<<RCX | 1<<RDX | 1<<R8 | 1<<R9 | 1<<R10 | 1<<R11
	copy(c.XMM[:], t.XMM[:])
	c.MXCSR = t.MXCSR
}

// TrapFrameAt returns the address of the KTRAP_FRAME whose machine frame a Step
// crossed.
func (l FrameLayout) TrapFrameAt(r StepResult) uint64 {
	return r.MachineFrame - uint64(l.Offsets["Rip"])
}

// ReadSwitchFrame returns the context of a thread that waits or is ready: the
// KSWITCH_FRAME that KTHREAD.KernelStack points at has rbp and the return address
// into the code that switches. All other registers are on the stack, where the
// unwind data finds them, or lost.
func ReadSwitchFrame(mem memory.Space, kernelStack uint64, l FrameLayout) (*Context, error) {
	f, err := readFrame(mem, kernelStack, l)
	if err != nil {
		return nil, err
	}
	c := &Context{Flags: ContextControl, RIP: f.u64("Return")}
	c.GPR[RBP] = f.u64("Rbp")
	c.GPR[RSP] = kernelStack + uint64(l.Offsets["Return"]) + 8
	return c, nil
}

// ReadSpecialRegisters reads the KSPECIAL_REGISTERS at an address.
func ReadSpecialRegisters(mem memory.Space, at uint64, l FrameLayout) (*SpecialRegisters, error) {
	f, err := readFrame(mem, at, l)
	if err != nil {
		return nil, err
	}
	descriptor := func(member string) Descriptor { // KDESCRIPTOR: padding, limit, base
		b := f.bytes(member, 16)
		return Descriptor{binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint64(b[8:])}
	}
	return &SpecialRegisters{
		CR0: f.u64("Cr0"), CR2: f.u64("Cr2"), CR3: f.u64("Cr3"), CR4: f.u64("Cr4"), CR8: f.u64("Cr8"),
		DR0: f.u64("KernelDr0"), DR1: f.u64("KernelDr1"), DR2: f.u64("KernelDr2"), DR3: f.u64("KernelDr3"),
		DR6: f.u64("KernelDr6"), DR7: f.u64("KernelDr7"),
		GDTR: descriptor("Gdtr"), IDTR: descriptor("Idtr"), TR: f.u16("Tr"), LDTR: f.u16("Ldtr"),
		MXCSR: f.u32("MxCsr"), DebugControl: f.u64("DebugControl"),
		GSBase: f.u64("MsrGsBase"), GSSwap: f.u64("MsrGsSwap"),
		STAR: f.u64("MsrStar"), LSTAR: f.u64("MsrLStar"), CSTAR: f.u64("MsrCStar"), SyscallMask: f.u64("MsrSyscallMask"),
		XCR0: f.u64("Xcr0"),
	}, nil
}
