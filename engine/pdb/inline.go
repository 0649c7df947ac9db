package pdb

import "kdap/engine/types"

// An Inline is a function that was inlined at one place.
type Inline struct {
	Name   string // with class or namespace
	FuncID uint32 // in the IPI stream
	Ranges []Range
	rows   []inlineRow
	f      *File
	ms     *moduleState
}

// inlineRow is a piece of inlined code with its source line.
type inlineRow struct {
	seg       uint16
	off, size uint32
	at        []Range
	file      uint32 // offset in the module's file checksums
	line      uint32
	explicit  bool // the size is the file's, not the way to the next row
}

// Type returns the inlined function's type.
func (in *Inline) Type() *types.Type { return in.f.funcType(in.FuncID) }

// Covers reports whether an address belongs to the inlined code.
func (in *Inline) Covers(rva uint32) bool {
	return covers(in.Ranges, rva)
}

// LineAt returns the source line of the inlined code at an address.
func (in *Inline) LineAt(rva uint32) (Line, bool) {
	for _, row := range in.rows {
		for _, r := range row.at {
			if r.Contains(rva) {
				return Line{RVA: r.RVA, Size: r.Size, Number: row.line, File: in.ms.lines().file(in.f, row.file)}, true
			}
		}
	}
	return Line{}, false
}

// Binary annotations of inline sites: a small program that makes code ranges
// and their lines, both as differences.
const (
	baCodeOffset              = 1
	baChangeCodeOffsetBase    = 2
	baChangeCodeOffset        = 3
	baChangeCodeLength        = 4
	baChangeFile              = 5
	baChangeLineOffset        = 6
	baChangeLineEndDelta      = 7
	baChangeRangeKind         = 8
	baChangeColumnStart       = 9
	baChangeColumnEndDelta    = 10
	baChangeCodeAndLineOffset = 11
	baChangeLengthAndOffset   = 12
	baChangeColumnEnd         = 13
)

// annotation reads one compressed number: 7, 14 or 29 bits.
func annotation(b []byte) (v uint32, rest []byte, ok bool) {
	switch {
	case len(b) >= 1 && b[0]&0x80 == 0:
		return uint32(b[0]), b[1:], true
	case len(b) >= 2 && b[0]&0xc0 == 0x80:
		return uint32(b[0]&0x3f)<<8 | uint32(b[1]), b[2:], true
	case len(b) >= 4 && b[0]&0xe0 == 0xc0:
		return uint32(b[0]&0x1f)<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), b[4:], true
	}
	return 0, nil, false
}

// signed decodes a number whose lowest bit is its sign.
func signed(v uint32) int32 {
	if v&1 != 0 {
		return -int32(v >> 1)
	}
	return int32(v >> 1)
}

// inline decodes an inline site of a procedure.
func (ms *moduleState) inline(p *Proc, id uint32, prog []byte) *Inline {
	in := &Inline{FuncID: id, f: ms.f, ms: ms}
	fn, _ := ms.f.FuncID(id)
	in.Name = fn.QualifiedName()
	first := ms.lines().inlinees[id]
	// Code is counted from the start of the procedure, or of a part of it that
	// lies elsewhere.
	seg, base := p.Seg, p.Off
	code := uint32(0)
	line, file := first.line, first.file
	open := false // the last row waits for its size
	row := func() {
		if open {
			r := &in.rows[len(in.rows)-1]
			r.size = 1 // at least, when the next one lies in front of it
			if n := base + code - r.off; int32(n) > 0 {
				r.size = n
			}
		}
		in.rows = append(in.rows, inlineRow{seg: seg, off: base + code, file: file, line: line})
		open = true
	}
	end := func() {
		if open { // without an end it is one instruction or more: one byte is sure
			in.rows[len(in.rows)-1].size = 1
		}
		open = false
	}
	for len(prog) > 0 {
		var op, a, b uint32
		var ok bool
		if op, prog, ok = annotation(prog); !ok || op == 0 {
			break
		}
		if a, prog, ok = annotation(prog); !ok {
			break
		}
		switch op {
		case baCodeOffset:
			code = a
			row()
		case baChangeCodeOffset:
			code += a
			row()
		case baChangeCodeOffsetBase:
			end()
			seg, base, code = p.Seg, p.Off, 0
			if parts := ms.separated().of[p.RecOff]; a > 0 && uint64(a) <= uint64(len(parts)) {
				seg, base = parts[a-1].seg, parts[a-1].off
			} else if a > 0 {
				prog = nil // a part that is not there: nothing says where the rest lies
			}
		case baChangeCodeLength:
			if open {
				r := &in.rows[len(in.rows)-1]
				r.size, r.explicit = a, true
				code += a // the next difference counts from the end
			}
			open = false
		case baChangeFile:
			file = a
		case baChangeLineOffset:
			line += uint32(signed(a))
		case baChangeCodeAndLineOffset:
			line += uint32(signed(a >> 4))
			code += a & 15
			row()
		case baChangeLengthAndOffset:
			if b, prog, ok = annotation(prog); !ok {
				break
			}
			code += b
			row()
			r := &in.rows[len(in.rows)-1]
			r.size, r.explicit = a, true
			open = false // the next difference counts from this start
		}
	}
	end()
	in.place()
	return in
}

// place finds out where the rows' code lies in the image.
func (in *Inline) place() {
	for i := range in.rows {
		row := &in.rows[i]
		row.at = in.f.pieces(row.seg, row.off, row.size)
		for _, r := range row.at {
			if n := len(in.Ranges); n > 0 && in.Ranges[n-1].RVA+in.Ranges[n-1].Size == r.RVA {
				in.Ranges[n-1].Size += r.Size
			} else if r.Size > 0 {
				in.Ranges = append(in.Ranges, r)
			}
		}
	}
}

// InlinesAt returns the functions inlined at an address, the innermost first.
func (p *Proc) InlinesAt(rva uint32) []*Inline {
	body, _ := p.Body()
	var out []*Inline
	for _, s := range body.Path(rva) {
		if s.Inline != nil {
			out = append([]*Inline{s.Inline}, out...)
		}
	}
	return out
}
