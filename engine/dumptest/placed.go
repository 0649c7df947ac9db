package dumptest

import (
	"cmp"
	"maps"
	"slices"
)

// A PlacedFunction is a function that a test wants at a place of its own, with a
// frame of its own: calls in it return where the test says.
type PlacedFunction struct {
	Name  string
	RVA   uint32            // not of copies
	Frame uint32            // bytes of its frame, the return address included
	Calls map[uint32]string // by offset of the return: what is called; "" through a register

	// Copy is a function of the image whose code and unwind data it takes, for
	// those that no compiler makes. Its first indirect call returns at Return.
	Copy   string
	Return uint32            // RVA
	Labels map[string]uint32 // names inside it
}

// callSize is the size of a direct call; one through a register has 2 bytes.
const callSize = 5

// Placed returns the image with another size, identity and functions more. One
// that the image has already moves: calls of it find it at its new place.
func (im *Image) Placed(size uint32, functions ...PlacedFunction) *Image {
	n := *im
	n.Size = size
	n.PDB.GUID[0] ^= 0x5a // its symbols are its own
	n.TimeStamp++
	n.mapped = make([]byte, size)
	copy(n.mapped, im.mapped)
	n.Symbols = slices.Clone(im.Symbols)
	n.functions = slices.Clone(im.functions)
	n.sections = slices.Clone(im.sections)

	old := map[string]uint32{}
	place := func(name string, rva uint32) {
		i := slices.IndexFunc(n.Symbols, func(s Symbol) bool { return s.Name == name })
		if i >= 0 {
			old[name] = n.Symbols[i].RVA
			n.Symbols = slices.Delete(n.Symbols, i, i+1)
		}
		n.Symbols = append(n.Symbols, Symbol{name, rva, true})
	}
	functions = slices.Clone(functions)
	for i, f := range functions {
		if f.Copy != "" {
			code, _ := im.functionAt(im.Sym(f.Copy))
			f.RVA = f.Return - (im.returnAfterCall(code, "", 0, 1) - code.begin)
			functions[i] = f
		}
		place(f.Name, f.RVA)
		for _, label := range slices.Sorted(maps.Keys(f.Labels)) {
			place(label, f.Labels[label])
		}
	}
	n.sortSymbols()
	n.retarget(old)
	tail := size // unwind data and the table of functions lie at the end
	for _, f := range functions {
		tail = n.lay(im, f, tail)
	}
	n.finishPlaced(roundUp(im.Size, pageSize), tail)
	return &n
}

func (im *Image) sortSymbols() {
	slices.SortFunc(im.Symbols, func(a, b Symbol) int { return cmp.Or(cmp.Compare(a.RVA, b.RVA), cmp.Compare(a.Name, b.Name)) })
}

// retarget makes calls of functions that moved find them.
func (im *Image) retarget(old map[string]uint32) {
	moved := map[uint32]uint32{}
	for name, rva := range old {
		moved[rva] = im.Sym(name)
	}
	for _, f := range im.functions {
		for i := f.begin; i+callSize <= f.end; i++ {
			next := i + callSize
			if to, ok := moved[next+le.Uint32(im.mapped[i+1:])]; ok && im.mapped[i] == 0xe8 {
				le.PutUint32(im.mapped[i+1:], to-next)
			}
		}
	}
}

// lay writes a function's code, and its unwind data below tail; it returns the
// new tail.
func (im *Image) lay(from *Image, f PlacedFunction, tail uint32) uint32 {
	if f.Copy != "" {
		code, _ := from.functionAt(from.Sym(f.Copy))
		copy(im.mapped[f.RVA:], from.mapped[code.begin:code.end])
		im.functions = append(im.functions, function{f.RVA, f.RVA + code.end - code.begin, code.unwind})
		return tail
	}
	end := f.RVA + 0x20
	for at := range f.Calls {
		end = max(end, f.RVA+at+0x10)
	}
	code := im.mapped[f.RVA:end]
	for i := range code {
		code[i] = 0x90
	}
	copy(code, []byte{0x48, 0x81, 0xec}) // sub rsp, frame without the return address
	le.PutUint32(code[3:], f.Frame-8)
	for at, name := range f.Calls {
		if name == "" {
			copy(code[at-2:], []byte{0xff, 0xd0}) // call rax
			continue
		}
		code[at-callSize] = 0xe8
		le.PutUint32(code[at-callSize+1:], im.Sym(name)-f.RVA-at)
	}
	// UNWIND_INFO: version 1, a prolog of 7 bytes, one large allocation.
	info := []byte{1, 7, 2, 0, 7, 1}
	info = le.AppendUint16(info, uint16((f.Frame-8)/8))
	tail -= uint32(len(info))
	copy(im.mapped[tail:], info)
	im.functions = append(im.functions, function{f.RVA, end, tail})
	return tail
}

// finishPlaced writes the table of functions and the section that holds what
// was placed, from an RVA on.
func (im *Image) finishPlaced(from, tail uint32) {
	slices.SortFunc(im.functions, func(a, b function) int { return cmp.Compare(a.begin, b.begin) })
	table := (tail - uint32(12*len(im.functions))) &^ 15
	var b []byte
	for _, f := range im.functions {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, f.begin), f.end), f.unwind)
	}
	copy(im.mapped[table:], b)
	pe := le.Uint32(im.mapped[0x3c:])
	opt := pe + 24
	le.PutUint32(im.mapped[pe+8:], im.TimeStamp)
	le.PutUint32(im.mapped[opt+56:], im.Size)
	le.PutUint32(im.mapped[opt+112+3*8:], table)
	le.PutUint32(im.mapped[opt+112+3*8+4:], uint32(len(b)))
	count := le.Uint16(im.mapped[pe+6:])
	le.PutUint16(im.mapped[pe+6:], count+1)
	s := im.mapped[opt+uint32(le.Uint16(im.mapped[pe+20:]))+40*uint32(count):]
	copy(s, "PLACED\x00\x00")
	le.PutUint32(s[8:], im.Size-from)
	le.PutUint32(s[12:], from)
	le.PutUint32(s[16:], im.Size-from)
	le.PutUint32(s[36:], 0x60000020)
	im.sections = append(im.sections, section{"PLACED", from, im.Size - from, false, true})
	im.renameRSDS()
}

// renameRSDS gives the image's debug record the GUID of the copy.
func (im *Image) renameRSDS() {
	pe := le.Uint32(im.mapped[0x3c:])
	dir := le.Uint32(im.mapped[pe+24+112+6*8:])
	size := le.Uint32(im.mapped[pe+24+112+6*8+4:])
	for d := im.mapped[dir : dir+size]; len(d) >= 28; d = d[28:] {
		rva := le.Uint32(d[20:])
		if string(im.mapped[rva:rva+4]) == "RSDS" {
			copy(im.mapped[rva+4:], im.PDB.GUID[:])
		}
	}
}
