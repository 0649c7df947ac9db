// Package heap reads the heaps of a process: NT heaps with their segments,
// blocks, low-fragmentation front end and virtual blocks; segment heaps with
// their page ranges, VS and LFH subsegments and large blocks.
//
// Structures are read through ntdll's types, or the kernel's, which are made
// from the same source. Where neither has a type (the front end's are ntdll's
// own, 32-bit heaps have none in a kernel dump) a table in layout.go stands in;
// it names its source.
//
// Everything is streamed: a walk holds the page it reads and the uncommitted
// ranges of one segment, however many blocks there are. What is damaged comes
// as a *Damage with its place, between the good parts. Walks are bounded by
// what a heap can hold and end when their context does.
package heap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// A Kind is the sort of a heap.
type Kind string

// The kinds of heaps.
const (
	NT      Kind = "nt"
	NT32    Kind = "nt32" // of the 32-bit part of a WOW64 process
	Segment Kind = "segment"
)

// Signatures behind a heap's first header.
const (
	ntSignature      = 0xffeeffee // _HEAP.SegmentSignature
	segmentSignature = 0xddeeddee // _SEGMENT_HEAP.Signature
	heapSignature    = 0xeeffeeff // _HEAP.Signature
)

// A Process is the owner of heaps: its memory and ntdll's names.
type Process struct {
	proc windows.Process
	peb  windows.PEB

	layouts [2]*layout // 64-bit, 32-bit
	once    [2]sync.Once
}

// Of returns the heaps' owner. It fails for processes without a PEB.
func Of(p windows.Process) (*Process, error) {
	peb, err := p.Environment()
	if err != nil {
		return nil, err
	}
	return OfBlock(p, peb), nil
}

// OfBlock returns the owner of the heaps that a PEB lists: in the dump of a
// process no EPROCESS leads to it.
func OfBlock(p windows.Process, peb windows.PEB) *Process { return &Process{proc: p, peb: peb} }

// A Heap is one heap of a process. It holds what was read of its header.
type Heap struct {
	Index   int // from 1, in the order of the process's list; 0 for a heap that is in none
	Address uint64
	Kind    Kind

	proc   *Process
	key    func(context.Context) (uint64, error) // of the front end's headers
	l      *layout
	space  memory.Space
	code   [8]byte // what headers are encoded with
	encode uint32  // the bit that says a header is encoded, 0: none are
}

// maxHeaps bounds the process's list, whose length the process itself writes.
const maxHeaps = 1 << 16

// Heaps yields the heaps in the order of the PEB's list, then those of a
// 32-bit PEB. A heap whose header cannot be read comes with an error beside it.
// Where the list cannot be read its error comes first, then the heaps that lie
// at the start of an address range, by address.
func (p *Process) Heaps(ctx context.Context) iter.Seq2[Heap, error] {
	return func(yield func(Heap, error) bool) {
		index := 0
		o := p.peb.Object()
		lost := false
		seen := map[uint64]bool{}
		more := p.list(ctx, p.pebMember("NumberOfHeaps", pebNumberOfHeaps, 4), p.pebMember("ProcessHeaps", pebProcessHeaps, 8), 8, &index, func(h Heap, err error) bool {
			lost = lost || err != nil && h.Address == 0
			seen[h.Address] = true
			return yield(h, err)
		})
		if !more || lost && (ctx.Err() != nil || !p.search(ctx, seen, &index, yield)) {
			return
		}
		peb32, err := p.proc.PEB32()
		if err != nil || peb32 == 0 {
			return
		}
		space := o.Space()
		count := number(space, peb32+peb32NumberOfHeaps, 4)
		table := number(space, peb32+peb32ProcessHeaps, 4)
		p.list(ctx, count, table, 4, &index, yield)
	}
}

// Members of the 64-bit _PEB (every Windows since Vista), for symbols that do
// not have them.
const (
	pebNumberOfHeaps = 0xe8
	pebProcessHeaps  = 0xf0
)

func (p *Process) pebMember(name string, off uint64, size int) value {
	o := p.peb.Object()
	if !o.Has(name) {
		return number(o.Space(), o.Addr()+off, size)
	}
	return o.Field(name)
}

// Members of _PEB32 (x86 _PEB of every Windows since XP).
const (
	peb32NumberOfHeaps = 0x88
	peb32ProcessHeaps  = 0x90
)

// A value is a number in memory.
type value interface{ Uint() (uint64, error) }

type number32 struct {
	space memory.Space
	addr  uint64
	size  int
}

func number(space memory.Space, addr uint64, size int) value { return number32{space, addr, size} }

func (n number32) Uint() (uint64, error) { return memory.ReadUint(n.space, n.addr, n.size) }

var _ value = types.Object{}

func (p *Process) list(ctx context.Context, count, table value, size int, index *int, yield func(Heap, error) bool) bool {
	n, err := count.Uint()
	if err != nil {
		return yield(Heap{}, fmt.Errorf("number of heaps: %w", err))
	}
	at, err := table.Uint()
	if err != nil {
		return yield(Heap{}, fmt.Errorf("list of heaps: %w", err))
	}
	if at == 0 {
		return true
	}
	if n > maxHeaps {
		if !yield(Heap{}, fmt.Errorf("list of heaps %#x: %d entries, at most %d are read", at, n, maxHeaps)) {
			return false
		}
		n = maxHeaps
	}
	space := p.peb.Object().Space()
	for i := range n {
		if err := ctx.Err(); err != nil {
			yield(Heap{}, err)
			return false
		}
		addr, err := memory.ReadUint(space, at+i*uint64(size), size)
		if err != nil {
			return yield(Heap{}, fmt.Errorf("list of heaps %#x: entry %d: %w", at, i, err))
		}
		*index++
		if addr == 0 {
			continue
		}
		h, err := p.at(ctx, addr, size == 4)
		h.Index = *index
		if !yield(h, err) {
			return false
		}
	}
	return true
}

// search yields the heaps that no list tells of: those at the start of an
// address range of the process.
func (p *Process) search(ctx context.Context, seen map[uint64]bool, index *int, yield func(Heap, error) bool) bool {
	for v, err := range p.proc.VADs(ctx) {
		if err != nil {
			return ctx.Err() == nil
		}
		if seen[v.Start] || v.Image() {
			continue
		}
		h, err := p.at(ctx, v.Start, false)
		if err != nil {
			continue // most ranges are no heaps
		}
		*index++
		h.Index = *index
		if !yield(h, nil) {
			return false
		}
	}
	return true
}

// At returns the heap at an address, whether the process lists it or not.
func (p *Process) At(ctx context.Context, addr uint64) (Heap, error) {
	for h, err := range p.Heaps(ctx) {
		if h.Address == addr {
			return h, err
		}
	}
	h, err := p.at(ctx, addr, false)
	if err != nil {
		if h32, err32 := p.at(ctx, addr, true); err32 == nil {
			return h32, nil
		}
	}
	return h, err
}

// ErrNoHeap says that there is no heap at an address.
var ErrNoHeap = errors.New("no heap")

func (p *Process) at(ctx context.Context, addr uint64, narrow bool) (Heap, error) {
	l := p.layout(ctx, narrow)
	h := Heap{Address: addr, proc: p, l: l, space: p.peb.Object().Space()}
	h.key = func(ctx context.Context) (uint64, error) { return p.lfhKey(ctx, narrow) }
	kind, err := memory.ReadUint(h.space, addr+l.segmentSignature, 4)
	if err != nil {
		return h, fmt.Errorf("heap %#x: %w", addr, err)
	}
	switch {
	case kind == segmentSignature:
		h.Kind = Segment
		return h, nil
	case kind != ntSignature:
		return h, fmt.Errorf("heap %#x: %w: signature %#x", addr, ErrNoHeap, kind)
	case narrow:
		h.Kind = NT32
	default:
		h.Kind = NT
	}
	if own, err := h.uint(l.heapHeap, l.ptr); err == nil && own != addr {
		return h, fmt.Errorf("heap %#x: %w: it is a segment of heap %#x", addr, ErrNoHeap, own)
	}
	return h.withCode()
}

// withCode reads what the heap's headers are encoded with.
func (h Heap) withCode() (Heap, error) {
	mask, err := h.uint(h.l.encodeFlagMask, 4)
	if err == nil {
		h.encode = uint32(mask)
		_, err = h.space.Read(h.Address+h.l.encoding+h.l.codeOff, h.code[:])
	}
	if err != nil {
		err = fmt.Errorf("heap %#x: %w", h.Address, err)
	}
	return h, err
}

// uint reads a member of the heap's header.
func (h Heap) uint(off uint64, size int) (uint64, error) {
	return memory.ReadUint(h.space, h.Address+off, size)
}

// Space returns the memory the heap lies in.
func (h Heap) Space() memory.Space { return h.space }

// Narrow reports whether the heap is a 32-bit one.
func (h Heap) Narrow() bool { return h.Kind == NT32 }

// Unit returns the granularity of the heap's blocks in bytes.
func (h Heap) Unit() uint64 { return h.l.unit }

// UserOffset returns how far behind its header a block's user data begins.
func (h Heap) UserOffset() uint64 { return h.l.header }

// ntdll returns the process's ntdll, of the 32-bit part when narrow.
func (p *Process) ntdll(ctx context.Context, narrow bool) *windows.Module {
	for _, m := range p.proc.Modules(ctx).All() {
		if m.WOW64 == narrow && strings.EqualFold(m.ImageName, "ntdll.dll") {
			return m
		}
	}
	return nil
}

// Symbol returns the address of a name of ntdll.
func (p *Process) Symbol(ctx context.Context, name string, narrow bool) (uint64, bool) {
	m := p.ntdll(ctx, narrow)
	if m == nil {
		return 0, false
	}
	sym, ok := m.Symbols(ctx).Lookup(name)
	if !ok {
		return 0, false
	}
	return m.Base + uint64(sym.RVA), true
}

// LFHKey returns the key of the front end's headers (ntdll!RtlpLFHKey).
func (p *Process) LFHKey(ctx context.Context) (uint64, error) { return p.lfhKey(ctx, false) }

func (p *Process) lfhKey(ctx context.Context, narrow bool) (uint64, error) {
	addr, ok := p.Symbol(ctx, "RtlpLFHKey", narrow)
	if !ok {
		return 0, errors.New("no symbol ntdll!RtlpLFHKey")
	}
	size := 8
	if narrow {
		size = 4
	}
	return memory.ReadUint(p.peb.Object().Space(), addr, size)
}
