package windows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/memory"
)

// A CriticalSection is a lock of user code, RTL_CRITICAL_SECTION.
type CriticalSection struct {
	Addr      uint64
	DebugInfo uint64 // 0 or all ones for sections made without
	LockCount int32
	Recursion int32
	Owner     uint64 // thread id
	Semaphore uint64
	Spin      uint64

	// Of the RTL_CRITICAL_SECTION_DEBUG, when there is one and it can be read.
	HasDebug             bool
	Entries, Contentions uint32
	CreatorBackTrace     uint32
}

// Locked reports whether a thread owns the section. Since Windows Server 2003
// SP1 the lowest bit of LockCount is clear then.
func (c CriticalSection) Locked() bool { return c.LockCount&1 == 0 }

// Waiters returns how many threads wait: the ones' complement of the bits above
// the two lowest.
func (c CriticalSection) Waiters() uint32 { return uint32(-1-c.LockCount) >> 2 }

// WaiterWoken reports that a waiting thread was woken and has not run yet.
func (c CriticalSection) WaiterWoken() bool { return c.LockCount&2 == 0 }

// A sectionLayout is where members of the two documented structures lie
// (winnt.h), and where the PEB has two sections of ntdll (winternl.h, public
// symbols).
type sectionLayout struct {
	pointer                                                int
	count, recursion, owner, semaphore, spin               uint64
	section, links, entries, contentions, trace, traceHigh uint64
	pebFastLock, pebLoaderLock                             uint64
	sectionSize, debugSize                                 int
}

var (
	section64 = sectionLayout{
		pointer: 8, count: 0x8, recursion: 0xc, owner: 0x10, semaphore: 0x18, spin: 0x20,
		section: 0x8, links: 0x10, entries: 0x20, contentions: 0x24, trace: 0x2, traceHigh: 0x2c,
		pebFastLock: 0x38, pebLoaderLock: 0x110, sectionSize: 0x28, debugSize: 0x30,
	}
	section32 = sectionLayout{
		pointer: 4, count: 0x4, recursion: 0x8, owner: 0xc, semaphore: 0x10, spin: 0x14,
		section: 0x4, links: 0x8, entries: 0x10, contentions: 0x14, trace: 0x2, traceHigh: 0x1c,
		pebFastLock: 0x1c, pebLoaderLock: 0xa0, sectionSize: 0x18, debugSize: 0x20,
	}
)

func sectionLayoutOf(pointer int) *sectionLayout {
	if pointer == 4 {
		return &section32
	}
	return &section64
}

func (l *sectionLayout) ptr(b []byte, off uint64) uint64 {
	if l.pointer == 4 {
		return uint64(le32(b[off:]))
	}
	return le64(b[off:])
}

// noDebug reports a DebugInfo that leads nowhere.
func (l *sectionLayout) noDebug(v uint64) bool {
	return v == 0 || v == 1<<(8*l.pointer-1)<<1-1
}

// ReadCriticalSection reads the critical section at an address, of code with
// pointers of 4 or 8 bytes, and what its debug information says.
func ReadCriticalSection(space memory.Space, addr uint64, pointer int) (CriticalSection, error) {
	l := sectionLayoutOf(pointer)
	b, err := memory.ReadBytes(space, addr, l.sectionSize)
	if err != nil {
		return CriticalSection{Addr: addr}, fmt.Errorf("critical section %#x: %w", addr, err)
	}
	c := CriticalSection{
		Addr: addr, DebugInfo: l.ptr(b, 0), LockCount: int32(le32(b[l.count:])), Recursion: int32(le32(b[l.recursion:])),
		Owner: l.ptr(b, l.owner), Semaphore: l.ptr(b, l.semaphore), Spin: l.ptr(b, l.spin),
	}
	if l.noDebug(c.DebugInfo) {
		return c, nil
	}
	d, err := memory.ReadBytes(space, c.DebugInfo, l.debugSize)
	if err != nil {
		return c, nil // the section itself is there
	}
	c.HasDebug = l.ptr(d, l.section) == addr
	c.Entries, c.Contentions = le32(d[l.entries:]), le32(d[l.contentions:])
	c.CreatorBackTrace = uint32(le16(d[l.trace:])) | uint32(le16(d[l.traceHigh:]))<<16
	return c, nil
}

// maxSections bounds the list of critical sections; the busiest known
// processes have some ten thousand.
const maxSections = 1 << 20

// CriticalSections yields the sections of the process that ntdll lists
// (RtlCriticalSectionList): those with debug information. Without symbols of
// ntdll the list is entered by the sections that the PEB names. A section that
// cannot be read comes with its error; a link that cannot be followed ends the
// list with one.
func (p Process) CriticalSections(ctx context.Context, peb uint64, pointer int) iter.Seq2[CriticalSection, error] {
	return func(yield func(CriticalSection, error) bool) {
		space, err := p.Space()
		if err != nil {
			yield(CriticalSection{}, err)
			return
		}
		l := sectionLayoutOf(pointer)
		head, listed, err := p.sectionList(ctx, space, peb, l)
		if err != nil {
			yield(CriticalSection{}, err)
			return
		}
		if listed && !p.listedSection(space, head-l.links, l, yield) {
			return
		}
		seen := map[uint64]bool{}
		for at := head; ; {
			next, err := memory.ReadUint(space, at, pointer)
			switch {
			case err != nil:
				err = fmt.Errorf("list of critical sections, after %d: %w", len(seen), err)
			case next == head:
				return
			case seen[next] || next == 0 || len(seen) >= maxSections:
				err = fmt.Errorf("the list of critical sections does not close after %d: link to %#x", len(seen), next)
			default:
				err = ctx.Err()
			}
			if err != nil {
				yield(CriticalSection{}, err)
				return
			}
			seen[next] = true
			at = next
			if !p.listedSection(space, next-l.links, l, yield) {
				return
			}
		}
	}
}

// listedSection yields the section that a list entry names. The head of the
// list, which is none, is passed over where the list was entered elsewhere.
func (p Process) listedSection(space memory.Space, debug uint64, l *sectionLayout, yield func(CriticalSection, error) bool) bool {
	addr, err := memory.ReadUint(space, debug+l.section, l.pointer)
	if err != nil {
		return yield(CriticalSection{DebugInfo: debug}, fmt.Errorf("debug information %#x: %w", debug, err))
	}
	c, err := ReadCriticalSection(space, addr, l.pointer)
	if err == nil && c.DebugInfo != debug {
		if p.inNtdll(debug + l.links) {
			return true
		}
		err = fmt.Errorf("critical section %#x names another debug information (%#x) than the list (%#x)", addr, c.DebugInfo, debug)
	}
	c.Addr, c.DebugInfo = addr, debug
	return yield(c, err)
}

func (p Process) inNtdll(va uint64) bool {
	m := p.Modules(context.Background()).Find(va)
	return m != nil && strings.EqualFold(m.ImageName, ntdllFile)
}

// ntdllFile is the file of the DLL that every process has.
const ntdllFile = "ntdll.dll"

// sectionList finds a link of the list: its head by symbol, else the entry of
// one of ntdll's own sections, which is then itself listed.
func (p Process) sectionList(ctx context.Context, space memory.Space, peb uint64, l *sectionLayout) (at uint64, listed bool, err error) {
	if at, ok := p.NtdllSymbol(ctx, "RtlCriticalSectionList", l.pointer); ok {
		return at, false, nil
	}
	err = errors.New("no symbol ntdll!RtlCriticalSectionList, and no critical section of the PEB leads to the list")
	for _, member := range []uint64{l.pebLoaderLock, l.pebFastLock} {
		addr, rerr := memory.ReadUint(space, peb+member, l.pointer)
		if rerr != nil || addr == 0 {
			err = errors.Join(err, rerr)
			continue
		}
		if c, rerr := ReadCriticalSection(space, addr, l.pointer); rerr == nil && c.HasDebug {
			return c.DebugInfo + l.links, true, nil
		}
	}
	return 0, false, err
}

// NtdllSymbol returns the address of a name of the process's ntdll, that of its
// code with pointers of 4 or 8 bytes.
func (p Process) NtdllSymbol(ctx context.Context, name string, pointer int) (uint64, bool) {
	for _, m := range p.Modules(ctx).All() {
		if !strings.EqualFold(m.ImageName, ntdllFile) || m.WOW64 != (pointer == 4 && p.sys.user == nil) {
			continue
		}
		if sym, ok := m.Symbols(ctx).Lookup(name); ok {
			return m.Base + uint64(sym.RVA), true
		}
	}
	return 0, false
}
