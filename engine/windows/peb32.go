package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// The 32-bit blocks of a WOW64 process. The kernel's symbols describe the PEB at
// best, and with numbers for pointers, so the layouts are tables: those of
// winternl.h and wdbgexts.h with pointers of four bytes, in which the members
// below kept their places since Windows XP.

// A Block32 is a view over a 32-bit structure of a process.
type Block32 struct {
	space memory.Space
	addr  uint64
}

// Members of the 32-bit PEB.
const (
	PEB32InheritedAddressSpace    = 0x00
	PEB32ReadImageFileExecOptions = 0x01
	PEB32BeingDebugged            = 0x02
	PEB32ImageBaseAddress         = 0x08
	PEB32Ldr                      = peb32Ldr
	PEB32ProcessParameters        = 0x10
	PEB32SubSystemData            = 0x14
	PEB32ProcessHeap              = 0x18
	PEB32NtGlobalFlag             = 0x68
)

// Members of the 32-bit process parameters.
const (
	Params32CurrentDirectory = 0x24
	Params32DLLPath          = 0x30
	Params32ImagePath        = 0x38
	Params32CommandLine      = 0x40
	Params32Environment      = 0x48
	Params32WindowTitle      = 0x70
	params32EnvironmentSize  = 0x290
)

// Members of the 32-bit loader data.
const (
	Ldr32Initialized = 0x04
	Ldr32InLoad      = ldrData32List
	Ldr32InMemory    = 0x14
	Ldr32InInit      = 0x1c
)

// Members of the 32-bit TEB.
const (
	TEB32ExceptionList    = 0x00
	TEB32StackBase        = 0x04
	TEB32StackLimit       = 0x08
	TEB32SubSystemTib     = 0x0c
	TEB32FiberData        = 0x10
	TEB32Arbitrary        = 0x14
	TEB32Self             = teb32Self
	TEB32Environment      = 0x1c
	TEB32Process          = 0x20
	TEB32Thread           = 0x24
	TEB32RPCHandle        = 0x28
	TEB32TLS              = 0x2c
	TEB32PEB              = 0x30
	TEB32LastError        = 0x34
	TEB32OwnedLocks       = 0x38
	TEB32LastStatus       = 0xbf4
	TEB32Deallocation     = 0xe0c
	TEB32HardErrorsMode   = 0xf28
	teb64StackBase        = 0x08 // of the 64-bit one
	teb64StackLimit       = 0x10
	teb64DeallocationBase = 0x1478
)

// Block32At returns the view over a 32-bit structure at addr.
func (p Process) Block32At(addr uint64) (Block32, error) {
	space, err := p.Space()
	return Block32{space, addr}, err
}

// Addr returns where the block lies.
func (b Block32) Addr() uint64 { return b.addr }

// U8 reads a byte of the block.
func (b Block32) U8(off uint64) (uint64, error) { return memory.ReadUint(b.space, b.addr+off, 1) }

// U32 reads a number or a pointer of the block.
func (b Block32) U32(off uint64) (uint64, error) { return memory.ReadUint(b.space, b.addr+off, 4) }

// Block returns the structure that the pointer at off leads to.
func (b Block32) Block(off uint64) (Block32, error) {
	at, err := b.U32(off)
	if err == nil && at == 0 {
		err = types.ErrNull
	}
	return Block32{b.space, at}, err
}

// String reads the UNICODE_STRING at off; ok is false when it has no buffer.
func (b Block32) String(off uint64) (text string, ok bool, err error) {
	head, err := memory.ReadUint(b.space, b.addr+off, 8)
	if err != nil {
		return "", false, err
	}
	length, buffer := head&0xfffe, head>>32
	if buffer == 0 {
		return "", false, nil
	}
	raw, err := memory.ReadBytes(b.space, buffer, int(length))
	if err != nil {
		return "", false, fmt.Errorf("string at %#x: %w", buffer, err)
	}
	return types.UTF16(raw), true, nil
}

// EnvironmentStrings yields the strings of the environment that 32-bit process
// parameters point at, as they stand.
func (b Block32) EnvironmentStrings() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		addr, err := b.U32(Params32Environment)
		if err != nil || addr == 0 {
			if err != nil {
				yield("", fmt.Errorf("environment: %w", err))
			}
			return
		}
		size := uint64(maxEnvironment)
		if s, err := b.U32(params32EnvironmentSize); err == nil && s != 0 {
			size = min(s, maxEnvironment)
		}
		readStrings(b.space, addr, size, yield)
	}
}

// A StackRange is what a TEB says of its stack: the top, how far down it is
// committed and where the reserved range begins.
type StackRange struct{ Base, Limit, Deallocation uint64 }

// Stacks returns the ranges of the thread's two stacks by its TEBs.
func (w *WOW64Thread) Stacks(s *System) (narrow, wide StackRange, err error) {
	read := func(at uint64, n int) uint64 {
		v, e := memory.ReadUint(w.space, at, n)
		if e != nil && err == nil {
			err = e
		}
		return v
	}
	if w.TEB32 != 0 {
		narrow = StackRange{read(w.TEB32+TEB32StackBase, 4), read(w.TEB32+TEB32StackLimit, 4), read(w.TEB32+TEB32Deallocation, 4)}
	}
	wide = StackRange{
		read(w.TEB+teb64StackBase, 8), read(w.TEB+teb64StackLimit, 8),
		read(w.TEB+s.fieldOr("_TEB", "DeallocationStack", teb64DeallocationBase), 8),
	}
	return narrow, wide, err
}

// LoaderModules32 returns the modules of the 32-bit loader's list, in load order,
// and what was wrong with the list.
func (p Process) LoaderModules32(ctx context.Context, peb32 Block32) ([]*Module, []error) {
	return p.narrowModules(ctx, peb32.space, peb32.addr)
}
