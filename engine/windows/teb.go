package windows

import (
	"fmt"
	"iter"

	"kdap/engine/memory"
)

// A TEB is a view over a thread environment block, of 64-bit or of 32-bit code.
// It is read by offsets: those of its members are the same in all versions of
// Windows since Vista, so that no symbols are needed (winternl.h documents some,
// public symbols of ntdll and wntdll have them all).
type TEB struct {
	space memory.Space
	addr  uint64
	l     *tebLayout
}

// tebLayout is where members of a TEB lie.
type tebLayout struct {
	pointer                                           int
	exceptionList, fiber, self                        uint64
	processID, threadID, tls, peb                     uint64
	lastError, ownedSections, lastStatus, stackBottom uint64
	slots, expansion, fiberLocal, flags               uint64
}

var (
	teb64 = tebLayout{
		pointer: 8, exceptionList: 0, fiber: 0x20, self: 0x30, processID: 0x40, threadID: 0x48, tls: 0x58, peb: 0x60,
		lastError: 0x68, ownedSections: 0x6c, lastStatus: 0x1250, stackBottom: 0x1478,
		slots: 0x1480, expansion: 0x1780, fiberLocal: 0x17c8, flags: 0x17ee,
	}
	teb32 = tebLayout{
		pointer: 4, exceptionList: 0, fiber: 0x10, self: 0x18, processID: 0x20, threadID: 0x24, tls: 0x2c, peb: 0x30,
		lastError: 0x34, ownedSections: 0x38, lastStatus: 0xbf4, stackBottom: 0xe0c,
		slots: 0xe10, expansion: 0xf94, fiberLocal: 0xfb4, flags: 0xfca,
	}
)

// TEBAt returns the view over a TEB of code with pointers of 4 or 8 bytes.
func TEBAt(space memory.Space, addr uint64, pointer int) TEB {
	if pointer == 4 {
		return TEB{space, addr, &teb32}
	}
	return TEB{space, addr, &teb64}
}

// Addr returns the block's address.
func (b TEB) Addr() uint64 { return b.addr }

// PointerSize returns the size of a pointer in the block.
func (b TEB) PointerSize() int { return b.l.pointer }

func (b TEB) ptr(off uint64) (uint64, error) {
	return memory.ReadUint(b.space, b.addr+off, b.l.pointer)
}

// PEB returns the address of the process's block.
func (b TEB) PEB() (uint64, error) { return b.ptr(b.l.peb) }

// ClientID returns the ids of process and thread.
func (b TEB) ClientID() (pid, tid uint64, err error) {
	if pid, err = b.ptr(b.l.processID); err == nil {
		tid, err = b.ptr(b.l.threadID)
	}
	return pid, tid, err
}

// LastError returns what GetLastError would.
func (b TEB) LastError() (uint32, error) {
	v, err := memory.ReadUint(b.space, b.addr+b.l.lastError, 4)
	return uint32(v), err
}

// LastStatus returns the NTSTATUS that the last error was made from.
func (b TEB) LastStatus() (uint32, error) {
	v, err := memory.ReadUint(b.space, b.addr+b.l.lastStatus, 4)
	return uint32(v), err
}

// ExceptionList returns the first of the frame handlers of 32-bit code.
func (b TEB) ExceptionList() (uint64, error) { return b.ptr(b.l.exceptionList) }

// hasFiberData is a bit of SameTebFlags.
const hasFiberData = 1 << 2

// Fiber returns the address of the fiber that the thread runs, 0 when it runs
// none: the member then holds a version number.
func (b TEB) Fiber() (uint64, error) {
	flags, err := memory.ReadUint(b.space, b.addr+b.l.flags, 2)
	if err != nil || flags&hasFiberData == 0 {
		return 0, err
	}
	return b.ptr(b.l.fiber)
}

// Numbers of TLS slots: the first lie in the block, the others in an array
// that is made when a thread uses one (winnt.h, TLS_MINIMUM_AVAILABLE).
const (
	TLSSlots          = 64
	TLSExpansionSlots = 1024
)

// TLSSlot returns the value of slot n of TlsAlloc. A slot of the expansion
// array is 0 while the thread has no such array.
func (b TEB) TLSSlot(n int) (uint64, error) {
	size := uint64(b.l.pointer)
	switch {
	case n < 0 || n >= TLSSlots+TLSExpansionSlots:
		return 0, fmt.Errorf("TLS slot %#x: there are %#x", n, TLSSlots+TLSExpansionSlots)
	case n < TLSSlots:
		return b.ptr(b.l.slots + uint64(n)*size)
	}
	array, err := b.ptr(b.l.expansion)
	if err != nil || array == 0 {
		return 0, err
	}
	return memory.ReadUint(b.space, array+uint64(n-TLSSlots)*size, b.l.pointer)
}

// Members of the PEB for TlsAlloc, by pointer size: the bitmaps of slots in use.
var tlsBitmaps = map[int]struct{ first, expansion uint64 }{
	8: {0x78, 0x238},
	4: {0x40, 0x150},
}

// TLSInUse yields the slots that the process has allocated, in order. The PEB
// is that of the same code as the TEB.
func (b TEB) TLSInUse() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		peb, err := b.PEB()
		if err != nil {
			yield(0, fmt.Errorf("TEB %#x: %w", b.addr, err))
			return
		}
		at := tlsBitmaps[b.l.pointer]
		for _, part := range []struct {
			place       uint64
			from, count int
		}{{at.first, 0, TLSSlots}, {at.expansion, TLSSlots, TLSExpansionSlots}} {
			bits, err := b.bitmap(peb+part.place, part.count)
			if err != nil {
				yield(0, fmt.Errorf("TLS bitmap: %w", err))
				return
			}
			for i := range part.count {
				if bits[i/8]>>(i%8)&1 != 0 && !yield(part.from+i, nil) {
					return
				}
			}
		}
	}
}

// bitmap reads the bits of an RTL_BITMAP that a pointer leads to: its size and
// the address of the bits (wdm.h). Bits it does not have are clear.
func (b TEB) bitmap(pointer uint64, count int) ([]byte, error) {
	bits := make([]byte, count/8)
	at, err := memory.ReadUint(b.space, pointer, b.l.pointer)
	if err != nil || at == 0 {
		return bits, err
	}
	size, err := memory.ReadUint(b.space, at, 4)
	if err != nil {
		return bits, err
	}
	buffer, err := memory.ReadUint(b.space, at+uint64(b.l.pointer), b.l.pointer)
	if err != nil || buffer == 0 {
		return bits, err
	}
	whole := min(size, uint64(count)) / 8
	_, err = b.space.Read(buffer, bits[:whole])
	return bits, err
}
