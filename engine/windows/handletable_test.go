package windows

import (
	"context"
	"encoding/binary"
	"testing"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// pages is an address space of single pages; the rest is missing.
type pages map[uint64][]byte

func (p pages) Read(va uint64, b []byte) (int, error) {
	done := 0
	for done < len(b) {
		page, ok := p[(va+uint64(done))&^(memory.PageSize-1)]
		if !ok {
			return done, &memory.ReadError{Addr: va + uint64(done)}
		}
		done += copy(b[done:], page[(va+uint64(done))%memory.PageSize:])
	}
	return done, nil
}

func (p pages) put(va, v uint64) {
	page := va &^ (memory.PageSize - 1)
	if p[page] == nil {
		p[page] = make([]byte, memory.PageSize)
	}
	binary.LittleEndian.PutUint64(p[page][va%memory.PageSize:], v)
}

func number(name string, size uint64) *types.Type {
	return &types.Type{Name: name, Kind: types.Uint, Size: size}
}

// handleSystem is a system with nothing but handle tables, whose types are
// those of Windows 10's public symbols.
func handleSystem(space memory.Space) *System {
	s := &System{kernel: space}
	quad, long := number("unsigned __int64", 8), number("unsigned long", 4)
	bit := func(of *types.Type, pos, length uint8) *types.Type {
		t := &types.Type{Kind: types.BitField, Size: of.Size, BitPos: pos, BitLen: length}
		return t.NewLazy(func(l *types.Lazy) { l.Elem = of })
	}
	structure := func(name string, size uint64, fields ...types.Field) {
		t := &types.Type{Name: name, Kind: types.Struct, Size: size}
		s.typeCache.Store(name, t.NewLazy(func(l *types.Lazy) { l.Fields = fields }))
	}
	structure("_HANDLE_TABLE", 0x80, types.Field{Name: "NextHandleNeedingPool", Type: long}, types.Field{Name: "TableCode", Offset: 8, Type: quad})
	structure("_HANDLE_TABLE_ENTRY", 16,
		types.Field{Name: "LowValue", Type: quad},
		types.Field{Name: "Attributes", Type: bit(quad, 17, 3)}, types.Field{Name: "ObjectPointerBits", Type: bit(quad, 20, 44)},
		types.Field{Name: "GrantedAccessBits", Offset: 8, Type: bit(long, 0, 25)})
	return s
}

// TestThreeLevels walks a handle table of three levels with two handles in
// use, one of them behind pages that are missing.
func TestThreeLevels(t *testing.T) {
	const (
		table, top, middle, entries, last = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
		perPage, pointers                 = 256, 512
	)
	header := uint64(0xffffe38711003050)
	m := pages{}
	m.put(table, uint64((2*pointers+1)*perPage*4))
	m.put(table+8, top|2)
	m.put(top, middle)
	m.put(top+8, 0x9000) // missing
	m.put(top+16, middle)
	m.put(middle, entries)
	index := uint64(5)
	put := func(at, attributes, access uint64) {
		m.put(at, header>>4<<20|attributes<<17|1)
		m.put(at+8, access)
	}
	put(entries+16*index, HandleProtect|HandleInherit, 0x1fffff)
	put(entries+16*7, HandleAudit, 0x2001f0003&0x1ffffff)
	s := handleSystem(m)
	var got []uint64
	broken := 0
	for h, err := range s.TableHandles(context.Background(), table) {
		if err != nil {
			broken++
			continue
		}
		got = append(got, h.Handle)
		if h.Object != header {
			t.Errorf("handle %#x is for %#x, want %#x", h.Handle, h.Object, header)
		}
	}
	far := uint64(2*pointers*perPage) * 4
	want := []uint64{5 * 4, 7 * 4, far + 5*4, far + 7*4}
	if len(got) != len(want) || broken != 1 {
		t.Fatalf("got %x and %d errors, want %x and 1", got, broken, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %x, want %x", got, want)
		}
	}
	h, err := s.HandleEntryAt(table, far+5*4)
	if err != nil || h.Object != header || h.Entry.Addr() != entries+16*5 {
		t.Fatalf("%+v, %v", h, err)
	}
	attributes, err := h.Attributes()
	access, aerr := h.Access()
	if err != nil || aerr != nil || attributes != HandleProtect|HandleInherit || access != 0x1fffff {
		t.Errorf("attributes %x, access %x, %v, %v", attributes, access, err, aerr)
	}
	for _, bad := range []uint64{5, far * 4, 1 << 40} {
		if h, err := s.HandleEntryAt(table, bad); err != ErrNoHandle {
			t.Errorf("handle %#x: %+v, %v", bad, h, err)
		}
	}
}
