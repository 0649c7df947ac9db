package memory

import (
	"context"
	"iter"
	"sync/atomic"
)

// tlbSize is the number of translations an AddressSpace remembers. A table of
// all its slots takes 8 KB, a filled slot 40 bytes more.
const tlbSize = 1024

// An AddressSpace is memory seen through page tables. Translations that led to
// a page are remembered; the dump does not change, so they stay true.
type AddressSpace struct {
	tables Tables
	tr     Translator
	shared *AddressSpace // the kernel's, where it has other tables; or nil
	tlb    atomic.Pointer[[tlbSize]atomic.Pointer[tlbEntry]]
}

// A tlbEntry never changes once it is published.
type tlbEntry struct {
	vpn  uint64
	page *[PageSize]byte
}

var _ Space = (*AddressSpace)(nil)

// NewAddressSpace returns the address space of the page tables at dtb, whose
// bits that are no address must be gone (amd64.CleanDTB).
//
// Prototype PTEs are read through kernel; when it is nil, through the same
// tables. When it is an AddressSpace, prototype PTEs that are themselves mapped
// by prototype PTEs are not followed, so that damaged tables cannot loop, and
// the upper half is read through it where this space's own tables are not in
// the dump: kernel dumps may leave out the tables of processes.
func NewAddressSpace(phys Physical, tr Translator, dtb uint64, kernel Space) *AddressSpace {
	a := &AddressSpace{tables: Tables{Phys: phys, DTB: dtb}, tr: tr}
	switch k := kernel.(type) {
	case nil:
		a.tables.Kernel = &AddressSpace{tables: Tables{Phys: phys, DTB: dtb}, tr: tr}
	case *AddressSpace:
		a.tables.Kernel = &AddressSpace{tables: Tables{Phys: k.tables.Phys, DTB: k.tables.DTB}, tr: k.tr}
		if k.tables.DTB != dtb {
			a.shared = k
		}
	default:
		a.tables.Kernel = kernel
	}
	return a
}

// WithResolver returns an address space over the same tables that asks resolve
// for the prototype PTEs of pages whose entries leave them to the VADs, and gap,
// which may be nil, how far around it knows none. They must not read through the
// address space that is returned.
func (a *AddressSpace) WithResolver(resolve func(va uint64) (pte uint64, ok bool), gap func(va uint64) (first, last uint64)) *AddressSpace {
	b := &AddressSpace{tables: a.tables, tr: a.tr, shared: a.shared}
	b.tables.Resolve, b.tables.Gap = resolve, gap
	return b
}

// DTB returns the physical address of the root table.
func (a *AddressSpace) DTB() uint64 { return a.tables.DTB }

// Physical returns the memory that the page tables are in.
func (a *AddressSpace) Physical() Physical { return a.tables.Phys }

// Translate walks the page tables for va and records every step. It fails with
// a *ReadError when va leads to no page of memory; the translation then holds
// the steps up to there. Whether the dump holds the page is not looked at.
func (a *AddressSpace) Translate(va uint64) (Translation, error) {
	var t Translation
	err := a.tr.Translate(&a.tables, va, &t, true)
	if err != nil && a.askShared(va, err) {
		return a.shared.Translate(va)
	}
	return t, err
}

// Page returns the 4 KB page that va lies in. The slice belongs to the dump and
// must not be changed. It fails with a *ReadError.
func (a *AddressSpace) Page(va uint64) ([]byte, error) {
	page, err := a.page(va)
	if err != nil {
		return nil, err
	}
	return page[:], nil
}

// Read implements Space.
func (a *AddressSpace) Read(va uint64, p []byte) (int, error) {
	done := 0
	for done < len(p) {
		at := va + uint64(done)
		if at < va {
			return done, &ReadError{Addr: at - 1, DTB: a.tables.DTB, Kind: NonCanonical}
		}
		page, err := a.page(at)
		if err != nil {
			return done, err
		}
		done += copy(p[done:], page[at%PageSize:])
	}
	return done, nil
}

func (a *AddressSpace) page(va uint64) (*[PageSize]byte, error) {
	vpn := va >> PageShift
	tlb := a.tlb.Load()
	if tlb == nil {
		tlb = new([tlbSize]atomic.Pointer[tlbEntry])
		if !a.tlb.CompareAndSwap(nil, tlb) {
			tlb = a.tlb.Load()
		}
	}
	// Stacks and structures of different processes tend to share their low
	// bits; mixing in higher ones spreads them over the table.
	slot := &tlb[(vpn^vpn>>10^vpn>>20)%tlbSize]
	if e := slot.Load(); e != nil && e.vpn == vpn {
		return e.page, nil
	}
	var t Translation
	if err := a.tr.Translate(&a.tables, va, &t, false); err != nil {
		if a.askShared(va, err) {
			return a.shared.page(va)
		}
		return nil, err
	}
	data, ok := a.tables.Phys.Page(t.PFN())
	if !ok {
		kind := NotInDump
		if t.State == InTransition {
			kind = Transition
		}
		return nil, &ReadError{Addr: va, DTB: a.tables.DTB, Kind: kind, Level: "PTE", Entry: t.Entry, PFN: t.PFN(), Span: PageSize}
	}
	page := (*[PageSize]byte)(data)
	slot.Store(&tlbEntry{vpn, page})
	return page, nil
}

// askShared tells whether the kernel's tables are to be asked about an address
// of the upper half, because a table of this space is not in the dump.
func (a *AddressSpace) askShared(va uint64, err error) bool {
	if a.shared == nil || va < 1<<63 {
		return false
	}
	e, ok := err.(*ReadError)
	return ok && e.Kind == NotInDump
}

// Mapped yields the translation of every page between first and last, both
// included, that is in memory: mapped, in transition or shared. Whether the
// dump holds it is not looked at, nor are pages found that only a VAD knows of. Large pages are yielded whole, as one
// translation of their first byte at or after first. Regions without page
// tables cost nothing. The walk ends early only with the context, whose error
// comes last.
func (a *AddressSpace) Mapped(ctx context.Context, first, last uint64) iter.Seq2[Translation, error] {
	return func(yield func(Translation, error) bool) {
		tables := a.tables
		tables.Resolve, tables.Gap = nil, nil
		first &^= PageSize - 1
		for n := 1; ; n++ {
			if n%1024 == 0 && ctx.Err() != nil {
				yield(Translation{}, ctx.Err())
				return
			}
			var t Translation
			span := uint64(PageSize)
			err := a.tr.Translate(&tables, first, &t, false)
			if err == nil {
				span = max(span, t.PageSize)
				if !yield(t, nil) {
					return
				}
			} else if e, ok := err.(*ReadError); ok {
				span = max(span, e.Span)
			}
			end := first | (span - 1)
			if end >= last {
				return
			}
			first = end + 1
		}
	}
}
