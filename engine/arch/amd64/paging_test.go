package amd64

import (
	"encoding/binary"
	"errors"
	"testing"

	"kdap/engine/memory"
)

// ram is a machine's memory, page by page.
type ram map[uint64][]byte

func (r ram) Page(pfn uint64) ([]byte, bool) {
	p, ok := r[pfn]
	return p, ok
}

// put writes a value to physical memory.
func (r ram) put(pa, v uint64) {
	pfn := pa >> 12
	if r[pfn] == nil {
		r[pfn] = make([]byte, 4096)
	}
	binary.LittleEndian.PutUint64(r[pfn][pa&0xfff:], v)
}

// entryAt returns where the entry of va is in the table at physical address
// table, levels counted from the last one.
func entryAt(table, va uint64, level int) uint64 {
	return table + va>>(12+9*level)&0x1ff*8
}

const (
	rw   = bitValid | bitWrite | bitUser
	dtb  = 0x1000
	user = 0x00007ff6_12345678
	kern = 0xfffff806_72c01234
)

// tables maps va through tables at 0x1000, 0x2000, 0x3000 and 0x4000 down to
// the given level, where entry stands.
func tables(r ram, va uint64, level int, entry uint64) {
	table := uint64(dtb)
	for l := 3; l > level; l-- {
		r.put(entryAt(table, va, l), table+0x1000|rw)
		table += 0x1000
	}
	r.put(entryAt(table, va, level), entry)
}

func TestTranslate(t *testing.T) {
	const top = uint64(bitNX)
	for _, tt := range []struct {
		name  string
		va    uint64
		level int
		entry uint64
		pa    uint64 // when it can be read
		size  uint64
		flags memory.Flags
		kind  memory.Kind
		where string
		span  uint64
	}{
		{
			name: "4 KB", va: user, entry: 0x77000 | rw | bitAccessed | bitDirty | top,
			pa: 0x77678, size: 1 << 12, flags: memory.User | memory.Writable | memory.Accessed | memory.Dirty,
		},
		{
			name: "4 KB, kernel, read only", va: kern, entry: 0x77000 | bitValid | bitGlobal,
			pa: 0x77234, size: 1 << 12, flags: memory.Executable | memory.Global,
		},
		{
			name: "2 MB", va: kern, level: 1, entry: 0x1200000 | 1<<12 | rw | bitLarge, // bit 12 is PAT
			pa: 0x1201234, size: 2 << 20, flags: memory.User | memory.Writable | memory.Executable | memory.Large,
		},
		{
			name: "1 GB", va: user, level: 2, entry: 0x80000000 | rw | bitLarge,
			pa: 0x80000000 | user&(1<<30-1), size: 1 << 30, flags: memory.User | memory.Writable | memory.Executable | memory.Large,
		},
		{name: "zero PTE", va: user, entry: 0, kind: memory.NotValid, where: "PTE", span: 1 << 12},
		{name: "zero PML4E", va: user, level: 3, entry: 0, kind: memory.NotValid, where: "PML4E", span: 1 << 39},
		{name: "page file", va: user, entry: 0x1c000<<32 | 2<<12 | 4<<5, kind: memory.PageFile, where: "PTE", span: 1 << 12},
		{name: "page table in the page file", va: user, level: 1, entry: 7<<32 | 4<<5, kind: memory.PageFile, where: "PDE", span: 1 << 21},
		{name: "demand zero", va: user, entry: 4 << 5, kind: memory.DemandZero, where: "PTE", span: 1 << 12},
		{name: "prototype, VAD", va: user, entry: 0xffffffff_0000_0400 | 4<<5, kind: memory.Prototype, where: "PTE", span: 1 << 12},
		{name: "table missing", va: user, level: 1, entry: 0x99000 | rw, kind: memory.NotInDump, where: "PDE", span: 1 << 21},
		{name: "not canonical", va: 0x800000000000, kind: memory.NonCanonical, span: 1 << 47},
	} {
		r := ram{}
		tables(r, tt.va, tt.level, tt.entry)
		a := memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, nil)
		tr, err := a.Translate(tt.va)
		if tt.kind == 0 {
			if err != nil || tr.PA != tt.pa || tr.PageSize != tt.size || tr.Flags != tt.flags || tr.State != memory.Valid || len(tr.Steps) != 4-tt.level {
				t.Errorf("%s: %+v, %v; want %#x, flags %#x", tt.name, tr, err, tt.pa, tt.flags)
			}
			continue
		}
		var e *memory.ReadError
		if !errors.As(err, &e) || e.Kind != tt.kind || e.Level != tt.where || e.Span != tt.span || e.DTB != dtb {
			t.Errorf("%s: %+v; want %v at %q, span %#x", tt.name, e, tt.kind, tt.where, tt.span)
			continue
		}
		if tt.name == "page file" && (e.PageFile != 2 || e.PageFileOffset != 0x1c000) {
			t.Errorf("%s: %d:%#x", tt.name, e.PageFile, e.PageFileOffset)
		}
		if _, err := a.Read(tt.va, make([]byte, 1)); !errors.As(err, &e) || e.Kind != tt.kind {
			t.Errorf("%s, by Read: %v", tt.name, err)
		}
	}
}

func TestTranslateTransition(t *testing.T) {
	r := ram{}
	tables(r, user, 0, 0xa1b2c8c0) // the PTE of WinDbg's example: transition, PFN a1b2c
	a := memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, nil)
	tr, err := a.Translate(user)
	if err != nil || tr.State != memory.InTransition || tr.PFN() != 0xa1b2c {
		t.Errorf("%+v, %v", tr, err)
	}
	var e *memory.ReadError
	if _, err := a.Read(user, make([]byte, 1)); !errors.As(err, &e) || e.Kind != memory.Transition || e.PFN != 0xa1b2c {
		t.Errorf("its page is missing: %+v", e)
	}
	// A page table in transition is followed, too.
	r = ram{}
	tables(r, user, 1, 0x5000|bitTransition|4<<5)
	r.put(entryAt(0x5000, user, 0), 0x77000|rw)
	a = memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, nil)
	tr, err = a.Translate(user)
	if err != nil || tr.PFN() != 0x77 || tr.Flags&memory.TransitionTop == 0 {
		t.Errorf("table in transition: %+v, %v", tr, err)
	}
}

// TestTranslateMask: entries that are not valid are masked against L1TF.
func TestTranslateMask(t *testing.T) {
	const mask = 0x0000200000000000
	o := PagingOptions{InvalidPteMask: mask}
	for _, entry := range []uint64{
		0xa1b2c8c0 ^ mask,  // swizzled: the bit at 4 is clear
		0xa1b2c8c0 | 1<<4,  // not swizzled
		0x1000a1b2c000 | 1, // valid: never masked
	} {
		r := ram{}
		tables(r, user, 0, entry)
		tr, err := memory.NewAddressSpace(r, NewPaging(o), dtb, nil).Translate(user)
		want := uint64(0xa1b2c)
		if entry&1 != 0 {
			want = 0x1000a1b2c
		}
		if err != nil || tr.PFN() != want {
			t.Errorf("entry %#x: %#x, %v", entry, tr.PFN(), err)
		}
	}
	r := ram{}
	tables(r, user, 0, 0)
	_, err := memory.NewAddressSpace(r, NewPaging(o), dtb, nil).Translate(user)
	var e *memory.ReadError
	if !errors.As(err, &e) || e.Kind != memory.NotValid {
		t.Errorf("a zero entry is never masked: %v", err)
	}
}

// TestTranslateOldLayout: before 1709 the number of the page file was in the
// bits behind the valid bit.
func TestTranslateOldLayout(t *testing.T) {
	r := ram{}
	tables(r, user, 0, 0x1c000<<32|3<<1|4<<5)
	_, err := memory.NewAddressSpace(r, NewPaging(PagingOptions{PageFileLow: Bits{1, 4}}), dtb, nil).Translate(user)
	var e *memory.ReadError
	if !errors.As(err, &e) || e.PageFile != 3 || e.PageFileOffset != 0x1c000 {
		t.Errorf("%+v", e)
	}
}

func TestTranslatePrototype(t *testing.T) {
	const proto = 0xffffa584_2f4c1a60
	point := uint64(proto&(1<<48-1)<<16 | 0x400)
	for _, tt := range []struct {
		name  string
		entry uint64 // the prototype PTE
		pfn   uint64
		state memory.State
		kind  memory.Kind
	}{
		{"valid", 0x88000 | bitValid | bitWrite, 0x88, memory.Valid, 0},
		{"transition", 0x88000 | bitTransition | 4<<5, 0x88, memory.InTransition, 0},
		{"page file", 0x20 << 32, 0, 0, memory.PageFile},
		{"demand zero", 4 << 5, 0, 0, memory.DemandZero},
		{"in its file", 0xa584000010000400, 0, 0, memory.InFile},
		{"zero", 0, 0, 0, memory.NotValid},
	} {
		r := ram{}
		tables(r, user, 0, point)
		// The kernel's half: the prototype PTE's page, through tables of its own.
		table := uint64(dtb)
		for l := 3; l > 0; l-- {
			next := uint64(0x10000 + 0x1000*l)
			r.put(entryAt(table, proto, l), next|rw)
			table = next
		}
		r.put(entryAt(table, proto, 0), 0x50000|rw)
		r.put(0x50000|proto&0xfff, tt.entry)
		a := memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, nil)
		tr, err := a.Translate(user)
		last := tr.Steps[len(tr.Steps)-1]
		if !last.Virtual || last.Addr != proto || last.Value != tt.entry {
			t.Errorf("%s: last step %+v", tt.name, last)
		}
		var e *memory.ReadError
		errors.As(err, &e)
		switch {
		case tt.kind == 0 && (err != nil || tr.PFN() != tt.pfn || tr.State != tt.state || tr.Flags&memory.ByPrototype == 0):
			t.Errorf("%s: %+v, %v", tt.name, tr, err)
		case tt.kind != 0 && (e == nil || e.Kind != tt.kind || e.Level != "prototype PTE"):
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestTranslatePrototypeLoop: a prototype PTE that is mapped by itself.
func TestTranslatePrototypeLoop(t *testing.T) {
	r := ram{}
	va := uint64(0xffffa584_2f4c1a60)
	tables(r, va, 0, va<<16|0x400)
	a := memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, nil)
	_, err := a.Read(va, make([]byte, 8))
	var e *memory.ReadError
	if !errors.As(err, &e) || e.Kind != memory.Prototype {
		t.Errorf("%v", err)
	}
}

func TestTranslateLA57(t *testing.T) {
	const va = 0x00ff_8000_1234_5678
	r := ram{}
	r.put(entryAt(dtb, va, 4), 0x2000|rw)
	table := uint64(0x2000)
	for l := 3; l > 0; l-- {
		r.put(entryAt(table, va, l), table+0x1000|rw)
		table += 0x1000
	}
	r.put(entryAt(table, va, 0), 0x77000|rw)
	tr, err := memory.NewAddressSpace(r, NewPaging(PagingOptions{LA57: true}), dtb, nil).Translate(va)
	if err != nil || tr.PA != 0x77678 || len(tr.Steps) != 5 || tr.Steps[0].Level != "PML5E" {
		t.Errorf("%+v, %v", tr, err)
	}
	if _, err = memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, nil).Translate(va); err == nil {
		t.Error("with four levels the address is not canonical")
	}
}

func TestCleanDTB(t *testing.T) {
	for in, want := range map[uint64]uint64{0x133ef002: 0x133ef000, 0x80000000_001ad001: 0x1ad000, 1: 0, 0x60000000_00002fff: 0x2000} {
		if got := CleanDTB(in); got != want {
			t.Errorf("CleanDTB(%#x) = %#x, want %#x", in, got, want)
		}
	}
}

// FuzzTranslate translates in 16 pages of whatever memory. It ends, an address
// that is read agrees with the translation that says how, and a second read is
// answered from the cache alike.
func FuzzTranslate(f *testing.F) {
	seed := make([]byte, 64)
	for i := range 8 {
		binary.LittleEndian.PutUint64(seed[i*8:], uint64(i)<<12|0x467)
	}
	f.Add(seed, uint64(user), uint64(0), false)
	f.Add(seed, uint64(kern), uint64(0x0000200000000000), true)
	f.Fuzz(func(t *testing.T, content []byte, va, mask uint64, la57 bool) {
		if len(content) == 0 || len(content) > 16<<12 {
			return
		}
		r := ram{}
		for pfn := range uint64(16) {
			p := make([]byte, 4096)
			for i := range p { // small content is repeated: tables full of entries
				p[i] = content[(int(pfn)*4096+i)%len(content)]
			}
			r[pfn] = p
		}
		tr := NewPaging(PagingOptions{LA57: la57, InvalidPteMask: mask})
		kernel := memory.NewAddressSpace(r, tr, 0x2000, nil)
		a := memory.NewAddressSpace(r, tr, 0x1000, kernel).WithResolver(func(va uint64) (uint64, bool) { return va &^ 7, va&8 != 0 }, nil)
		got, err := a.Translate(va)
		if len(got.Steps) > 6 {
			t.Fatalf("%d steps", len(got.Steps))
		}
		var one, again [1]byte
		_, rerr := a.Read(va, one[:])
		_, err2 := a.Read(va, again[:])
		if one != again || (rerr == nil) != (err2 == nil) {
			t.Fatalf("read twice: %x %v, %x %v", one, rerr, again, err2)
		}
		if err == nil {
			if p, ok := r[got.PFN()]; ok != (rerr == nil) || ok && p[va&0xfff] != one[0] {
				t.Fatalf("%#x is at %#x: read %x, %v", va, got.PA, one, rerr)
			}
		}
		var e *memory.ReadError
		if rerr != nil && (!errors.As(rerr, &e) || e.Addr != va || e.Error() == "") {
			t.Fatalf("error %v", rerr)
		}
	})
}

// TestTranslateResolver: a file that was mapped and never touched may have no
// page table at all.
func TestTranslateResolver(t *testing.T) {
	const proto = uint64(0xffffa584_2f4c1a60)
	for level := range 4 {
		r := ram{}
		tables(r, user, level, 0)
		r.put(0x50000|proto&0xfff, 0x88000|bitValid)
		kernel := memory.NewBlocks([]memory.Block{{VA: proto, Data: r[0x50][proto&0xfff:]}})
		a := memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, kernel).WithResolver(func(va uint64) (uint64, bool) {
			return proto, va == user
		}, nil)
		tr, err := a.Translate(user)
		if err != nil || tr.PFN() != 0x88 || tr.Flags&memory.ByVAD == 0 {
			t.Errorf("level %d: %+v, %v", level, tr, err)
		}
		var e *memory.ReadError
		if _, err = a.Translate(user + 1); !errors.As(err, &e) || e.Kind != memory.NotValid || e.Span != memory.PageSize {
			t.Errorf("level %d: %+v", level, e)
		}
		// Where the VADs tell how far there is nothing, so does the error.
		for _, gap := range [][3]uint64{{0, 1<<47 - 1, 1 << (12 + 9*level)}, {user + 1, user + 0x2fff, 0x1000}, {user + 1, user + 1, 0x1000}} {
			a := memory.NewAddressSpace(r, NewPaging(PagingOptions{}), dtb, kernel).WithResolver(func(va uint64) (uint64, bool) {
				return proto, va == user
			}, func(uint64) (uint64, uint64) { return gap[0], gap[1] })
			if _, err = a.Translate(user + 1); !errors.As(err, &e) || e.Span != gap[2] {
				t.Errorf("level %d: the gap %#x to %#x: %+v", level, gap[0], gap[1], e)
			}
		}
	}
}
