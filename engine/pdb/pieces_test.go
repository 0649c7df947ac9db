package pdb

import (
	"reflect"
	"testing"
)

// rearranged is the sample after a tool moved its code about: what began at
// 0x1000 lies at 0x4000, its part from 0x1018 at 0x5000; four bytes at 0x1030
// were taken out.
func rearranged() parts {
	p := sample()
	p.original = section(0x1000)
	p.sections = section(0x4000)
	p.omapFrom = u32s(0x1000, 0x4000, 0x1018, 0x5000, 0x1030, 0, 0x1034, 0x4018, 0x1050, 0x4100)
	p.omapTo = u32s(0x4000, 0x1000, 0x4018, 0x1034, 0x4034, 0, 0x4100, 0x1050, 0x5000, 0x1018, 0x5018, 0)
	p.frames = u32s(0x1010, 0x40, 8, 4, 0, 1, 0x10002, 4)
	return p
}

// TestRearranged asks for all that an image's map concerns: publics,
// procedures, variables, inlined functions, lines, frames.
func TestRearranged(t *testing.T) {
	f, err := New(rearranged().build())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rva     uint32
		name    string
		at      uint32
		local   bool   // the variable is somewhere
		line    uint32 // 0: none
		lineRVA uint32
	}{
		{0x4010, "main", 0x4010, true, 5, 0x4010},
		{0x4013, "main", 0x4010, true, 5, 0x4010},
		{0x4014, "main", 0x4010, false, 5, 0x4010}, // a gap in the variable's range
		{0x4016, "main", 0x4010, true, 5, 0x4010},
		{0x5000, "main", 0x4010, true, 6, 0x5000},
		{0x5017, "main", 0x4010, true, 6, 0x5000},
		{0x4018, "main", 0x4010, false, 6, 0x4018}, // behind the variable's range
		{0x4033, "main", 0x4010, false, 6, 0x4018},
		{0x4130, "other", 0x4130, false, 0, 0},
	} {
		if s, ok := f.NearestPublic(c.rva); !ok || s.Name != c.name || s.RVA != c.at {
			t.Errorf("%#x: public %v, %v", c.rva, s, ok)
		}
		p, ok := f.ProcAt(c.rva)
		if ok != (c.name == "main") {
			t.Fatalf("%#x: procedure %v, %v", c.rva, p, ok)
		}
		if ok {
			body, err := p.Body()
			if err != nil || p.RVA != c.at {
				t.Fatalf("%#x: procedure at %#x, %v", c.rva, p.RVA, err)
			}
			if len(body.Path(c.rva)) == 0 {
				t.Errorf("%#x: not in its procedure's body", c.rva)
			}
			if n := len(body.Locals[0].At(c.rva)); n > 0 != c.local {
				t.Errorf("%#x: the variable is in %d places", c.rva, n)
			}
			in := p.InlinesAt(c.rva)
			if want := c.rva == 0x5000; len(in) > 0 != want {
				t.Errorf("%#x: inlined %v", c.rva, in)
			}
			if fd, ok := f.FrameDataAt(c.rva); !ok || fd.RVA != 0x4010 || fd.Params != 4 {
				t.Errorf("%#x: frame data %+v, %v", c.rva, fd, ok)
			}
		}
		l, ok := f.LineAt(c.rva)
		if ok != (c.line != 0) || l.Number != c.line || l.RVA != c.lineRVA {
			t.Errorf("%#x: line %+v, %v", c.rva, l, ok)
		}
	}
	// Bytes that were put in, or are of no code, have neither.
	for _, rva := range []uint32{0x4034, 0x40ff, 0x5018} {
		if p, ok := f.ProcAt(rva); ok {
			t.Errorf("%#x: procedure %v", rva, p)
		}
		if s, ok := f.NearestPublic(rva); ok {
			t.Errorf("%#x: public %v", rva, s)
		}
		if l, ok := f.LineAt(rva); ok {
			t.Errorf("%#x: line %v", rva, l)
		}
	}
	var got []Line
	for l := range f.Lines(0) {
		got = append(got, Line{Number: l.Number, RVA: l.RVA, Size: l.Size})
	}
	want := []Line{{Number: 5, RVA: 0x4010, Size: 8}, {Number: 6, RVA: 0x5000, Size: 0x18}, {Number: 6, RVA: 0x4018, Size: 0x1c}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("lines %+v, want %+v", got, want)
	}
	exercise(t, f)
}

// separatedSample has a part of main at 0x200, behind it or among its records.
func separatedSample(nested bool) parts {
	p := sample()
	site := rec(SInlineSite, u32s(4, 0, 0x1000), []byte{
		baChangeCodeOffset, 8, baChangeCodeLength, 4, // in main
		baChangeCodeOffsetBase, 1, baChangeLineOffset, 4, baChangeCodeOffset, 4, baChangeCodeLength, 6, // in its part
		baChangeCodeOffsetBase, 0, baChangeCodeOffset, 0x20, baChangeCodeLength, 2, // in main again
	})
	proc := func(end uint32) []byte {
		return rec(SGProc32, u32s(0, end, 0, 0x40, 4, 0x3c, 0x1005, 0x10), u16s(1), []byte{0}, z("main"))
	}
	parent := uint32(0)
	if nested {
		parent = 4
	}
	part := cat(
		rec(SSepCode, u32s(parent, 0, 0x20, 0, 0x200, 0x10), u16s(1, 1)),
		rec(SLocal, u32s(0x1001), u16s(0), z("cold")),
		rec(SDefRangeRel, u16s(RegRSP, 0), u32s(0x20, 0x208), u16s(1, 0x10)),
		rec(SEnd),
	)
	// A part of a part: its parent is a place in the one before.
	second := cat(rec(SSepCode, u32s(0, 0, 8, 0, 0x300, 0x200), u16s(1, 1)), rec(SEnd))
	body := cat(site, rec(SInlineEnd))
	if nested {
		body = cat(body, part)
	}
	p.module = cat(proc(uint32(4+len(proc(0))+len(body))), body, rec(SEnd))
	if !nested {
		p.module = cat(p.module, part, second)
	}
	return p
}

func TestSeparatedCode(t *testing.T) {
	for _, nested := range []bool{false, true} {
		f, err := New(separatedSample(nested).build())
		if err != nil {
			t.Fatal(err)
		}
		at := func(rva uint32) *Proc {
			p, ok := f.ProcAt(rva)
			if !ok || p.Name != "main" || p.RVA != 0x1010 {
				t.Fatalf("nested %v: %#x is in %v, %v", nested, rva, p, ok)
			}
			return p
		}
		p := at(0x1204)
		if s, ok := f.NearestPrivate(0x1204); !ok || s.Name != "main" {
			t.Errorf("nested %v: nearest %v, %v", nested, s, ok)
		}
		if !nested {
			at(0x1304)
		}
		if q, ok := f.ProcAt(0x1220); ok {
			t.Errorf("nested %v: %v behind the part", nested, q)
		}
		body, err := p.Body()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range body.Path(0x120c) {
			for i := range s.Locals {
				if len(s.Locals[i].At(0x120c)) > 0 {
					names = append(names, s.Locals[i].Name)
				}
			}
		}
		if !reflect.DeepEqual(names, []string{"cold"}) {
			t.Errorf("nested %v: variables %v", nested, names)
		}
		in := body.Inner[0].Inline
		want := []Range{{0x1018, 4}, {0x1204, 6}, {0x1030, 2}}
		if in == nil || !reflect.DeepEqual(in.Ranges, want) {
			t.Fatalf("nested %v: inlined at %+v, want %v", nested, in, want)
		}
		if l, ok := in.LineAt(0x1207); !ok || l.Number != 32 {
			t.Errorf("nested %v: line %v, %v", nested, l, ok)
		}
		exercise(t, f)
	}
}

// TestAnnotations runs every instruction of inline sites; what they mean is
// what the format's own header says of each.
func TestAnnotations(t *testing.T) {
	f, err := New(sample().build())
	if err != nil {
		t.Fatal(err)
	}
	p, _ := f.ProcAt(0x1010)
	type row struct{ rva, size, line, file uint32 }
	for _, c := range []struct {
		name string
		prog []byte
		want []row
	}{
		{"code offset: from the start", []byte{baCodeOffset, 4, baChangeCodeLength, 2}, []row{{0x1014, 2, 30, 0}}},
		{"code offset is no difference", []byte{baCodeOffset, 4, baChangeCodeLength, 2, baCodeOffset, 8, baChangeCodeLength, 1}, []row{{0x1014, 2, 30, 0}, {0x1018, 1, 30, 0}}},
		{"the length is the way to the next start", []byte{baChangeCodeOffset, 4, baChangeCodeOffset, 3, baChangeCodeLength, 1}, []row{{0x1014, 3, 30, 0}, {0x1017, 1, 30, 0}}},
		{"what follows a length counts from the end", []byte{baChangeCodeOffset, 4, baChangeCodeLength, 2, baChangeCodeOffset, 5, baChangeCodeLength, 1}, []row{{0x1014, 2, 30, 0}, {0x101b, 1, 30, 0}}},
		{"file", []byte{baChangeFile, 24, baChangeCodeOffset, 1, baChangeCodeLength, 1}, []row{{0x1011, 1, 30, 24}}},
		{"lines forward", []byte{baChangeLineOffset, 6, baChangeCodeOffset, 1, baChangeCodeLength, 1}, []row{{0x1011, 1, 33, 0}}},
		{"lines back", []byte{baChangeLineOffset, 7, baChangeCodeOffset, 1, baChangeCodeLength, 1}, []row{{0x1011, 1, 27, 0}}},
		{"line ends, kinds and columns move nothing", []byte{
			baChangeLineEndDelta, 3, baChangeRangeKind, 1, baChangeColumnStart, 9, baChangeColumnEndDelta, 4, baChangeColumnEnd, 12,
			baChangeCodeOffset, 1, baChangeCodeLength, 1,
		}, []row{{0x1011, 1, 30, 0}}},
		{"code and line at once", []byte{baChangeCodeAndLineOffset, 0x23, baChangeCodeLength, 1}, []row{{0x1013, 1, 31, 0}}},
		{"code and line back", []byte{baChangeCodeAndLineOffset, 0x33, baChangeCodeLength, 1}, []row{{0x1013, 1, 29, 0}}},
		{"length and offset at once", []byte{baChangeLengthAndOffset, 3, 4, baChangeLengthAndOffset, 2, 5}, []row{{0x1014, 3, 30, 0}, {0x1019, 2, 30, 0}}},
		{"numbers of two and four bytes", []byte{baChangeCodeOffset, 0x81, 0x02, baChangeCodeLength, 0xc0, 0, 0x40, 0}, []row{{0x1112, 0x4000, 30, 0}}},
		{"an end without a length", []byte{baChangeCodeOffset, 4}, []row{{0x1014, 1, 30, 0}}},
		{"padding ends it", []byte{baChangeCodeOffset, 4, baChangeCodeLength, 2, 0, baChangeCodeOffset, 4}, []row{{0x1014, 2, 30, 0}}},
		{"a part that is not there", []byte{baChangeCodeOffset, 4, baChangeCodeOffsetBase, 3, baChangeCodeOffset, 4}, []row{{0x1014, 1, 30, 0}}},
	} {
		var got []row
		for _, r := range f.module(0).inline(p, 0x1000, c.prog).rows {
			if len(r.at) != 1 {
				t.Errorf("%s: in %d places", c.name, len(r.at))
				continue
			}
			got = append(got, row{r.at[0].RVA, r.at[0].Size, r.line, r.file})
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestLiveRanges: a variable that moves is somewhere else in each of its
// ranges, and nowhere in their gaps.
func TestLiveRanges(t *testing.T) {
	p := sample()
	proc := func(end uint32) []byte {
		return rec(SGProc32, u32s(0, end, 0, 0x40, 4, 0x3c, 0x1005, 0x10), u16s(1), []byte{0}, z("main"))
	}
	body := cat(
		rec(SLocal, u32s(0x1003), u16s(0), z("pair")),
		rec(SDefRangeReg, u16s(17, 0), u32s(0x10), u16s(1, 8)),
		rec(SDefRangeSReg, u16s(18, 0), u32s(0), u32s(0x18), u16s(1, 0x10), u16s(2, 2, 8, 4)),
		rec(SDefRangeSReg, u16s(20, 0), u32s(8), u32s(0x18), u16s(1, 0x10)),
		rec(SDefRangeRel, u16s(RegRSP, 8<<4|1), u32s(0x28, 0x28), u16s(1, 8)),
		rec(SDefRangeFP, u32s(0x40, 0x30), u16s(1, 4)),
		rec(SLocal, u32s(0x74), u16s(0), z("n")),
		rec(SDefRangeFull, u32s(0x44)),
		rec(SFrameProc, u32s(0x48, 0, 0, 0, 0), u16s(0), u32s(1<<14|1<<16)),
	)
	p.module = cat(proc(uint32(4+len(proc(0))+len(body))), body, rec(SEnd))
	f, err := New(p.build())
	if err != nil {
		t.Fatal(err)
	}
	main, _ := f.ProcAt(0x1010)
	b, err := main.Body()
	if err != nil || len(b.Locals) != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
	type place struct {
		kind LocKind
		reg  uint16
		off  int32
		part bool
		at   uint32
	}
	for rva, want := range map[uint32][]place{
		0x100f: nil,
		0x1010: {{LocRegister, 17, 0, false, 0}},
		0x1017: {{LocRegister, 17, 0, false, 0}},
		0x1018: {{LocRegister, 18, 0, true, 0}, {LocRegister, 20, 0, true, 8}},
		0x101a: {{LocRegister, 20, 0, true, 8}}, // the first half's gap
		0x101c: {{LocRegister, 18, 0, true, 0}, {LocRegister, 20, 0, true, 8}},
		0x1023: {{LocRegister, 20, 0, true, 8}}, // its second gap
		0x1024: {{LocRegister, 18, 0, true, 0}, {LocRegister, 20, 0, true, 8}},
		0x1028: {{LocRegRel, RegRSP, 0x28, true, 8}},
		0x1030: {{LocRegRel, RegRSP, 0x40, false, 0}}, // relative to the frame
		0x1034: nil,
	} {
		var got []place
		for _, l := range b.Locals[0].At(rva) {
			got = append(got, place{l.Kind, l.Reg, l.Offset, l.Part, l.PartOff})
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%#x: %+v, want %+v", rva, got, want)
		}
	}
	if l := b.Locals[1].At(0x1034); len(l) != 1 || l[0].Reg != RegRSP || l[0].Offset != 0x44 {
		t.Errorf("everywhere: %+v", l)
	}
}
