package pdb

import (
	"iter"
	"sort"
	"strings"
)

// Kinds of C13 debug subsections.
const (
	subLines        = 0xf2
	subFileChecks   = 0xf4
	subFrameData    = 0xf5
	subInlineeLines = 0xf6
	subIgnore       = 0x80000000
)

// A Line is a piece of code that comes from one line of source text.
type Line struct {
	File   SourceFile
	Number uint32
	End    uint32 // last line of the statement, when the file says
	Column uint16 // 0 when there are no columns
	RVA    uint32
	Size   uint32
	Stmt   bool // the start of a statement rather than an expression
}

// A SourceFile is a source file as the compiler saw it.
type SourceFile struct {
	Name     string
	HashKind uint8 // 0 none, 1 MD5, 2 SHA-1, 3 SHA-256
	Hash     string
}

// Line numbers that compilers give to code that is from no line.
const (
	lineHidden  = 0xfeefee
	lineHidden2 = 0xf00f00
)

// moduleLines is where the parts of a module's line information lie.
type moduleLines struct {
	s        *stream
	subs     []lineSub // by address
	checks   extent
	inlinees map[uint32]inlinee
}

type lineSub struct {
	seg       uint16
	off, size uint32
	at        extent // in the module's stream
}

type inlinee struct{ file, line uint32 }

func (ms *moduleState) readLines() *moduleLines {
	ml := &moduleLines{s: ms.s, inlinees: map[uint32]inlinee{}}
	if ms.s == nil || ms.m.c13Bytes == 0 {
		return ml
	}
	off := ms.m.symBytes + ms.m.c11Bytes
	end := off + ms.m.c13Bytes
	for off+8 <= end {
		d := ms.s.decoder("C13 subsection", off, 8)
		kind, n := d.u32(), d.u32()
		if d.err != nil || n > end-off-8 {
			break
		}
		body := extent{off + 8, n}
		switch kind {
		case subLines:
			if d := ms.s.decoder("line subsection", body.off, min(n, 12)); n >= 12 {
				sub := lineSub{off: d.u32(), seg: d.u16(), at: body}
				d.u16()
				sub.size = d.u32()
				if d.err == nil {
					ml.subs = append(ml.subs, sub)
				}
			}
		case subFileChecks:
			ml.checks = body
		case subInlineeLines:
			ml.readInlinees(body)
		}
		off += 8 + (n+3)&^3
	}
	sort.SliceStable(ml.subs, func(i, j int) bool {
		return segOff(ml.subs[i].seg, ml.subs[i].off) < segOff(ml.subs[j].seg, ml.subs[j].off)
	})
	return ml
}

func (ml *moduleLines) readInlinees(e extent) {
	d := ml.s.decoder("inlinee lines", e.off, e.len)
	extra := d.u32() == 1
	for d.left() >= 12 {
		id := d.u32()
		ml.inlinees[id] = inlinee{d.u32(), d.u32()}
		if extra {
			n := d.u32()
			if uint64(n)*4 > uint64(d.left()) {
				return
			}
			d.bytes(int(n) * 4)
		}
	}
}

// file returns the source file at an offset of the module's checksums.
func (ml *moduleLines) file(f *File, off uint32) SourceFile {
	if off >= ml.checks.len {
		return SourceFile{}
	}
	d := ml.s.decoder("file checksums", ml.checks.off+off, min(ml.checks.len-off, 6+255))
	name := d.u32()
	n := int(d.u8())
	sf := SourceFile{HashKind: d.u8()}
	sf.Hash = string(d.bytes(n))
	if d.err != nil {
		return SourceFile{}
	}
	sf.Name = f.names().at(name)
	return sf
}

// lines yields the lines of one subsection in the order of the file.
func (ml *moduleLines) lines(sub lineSub, yield func(fileLine) bool) {
	d := ml.s.decoder("line subsection", sub.at.off, sub.at.len)
	d.bytes(6)
	columns := d.u16()&1 != 0
	d.u32()
	for d.left() >= 12 {
		file, n, size := d.u32(), d.u32(), d.u32()
		if d.err != nil || size < 12 || uint64(size-12) > uint64(d.left()) {
			return
		}
		b := decoder{b: d.bytes(int(size - 12))}
		per := uint64(8)
		if columns {
			per = 12
		}
		if uint64(n)*per > uint64(len(b.b)) {
			return
		}
		cols := decoder{b: b.b[n*8:]}
		for range n {
			off, bits := b.u32(), b.u32()
			l := Line{Number: bits & 0xffffff, Stmt: bits>>31 != 0}
			l.End = l.Number + bits>>24&0x7f
			if columns {
				l.Column = cols.u16()
				cols.u16()
			}
			if !yield(fileLine{file: file, off: sub.off + off, Line: l}) {
				return
			}
		}
	}
}

// A fileLine is a line of a subsection, before it is known where its code lies
// in the image.
type fileLine struct {
	file uint32 // offset in the file checksums
	off  uint32 // in the section
	Line
}

// lineList returns the lines of a subsection in the order of their code, with
// their sizes: the way to the next line, or to the end.
func (ml *moduleLines) lineList(sub lineSub) []fileLine {
	var out []fileLine
	ml.lines(sub, func(l fileLine) bool {
		out = append(out, l)
		return true
	})
	sort.SliceStable(out, func(i, j int) bool { return out[i].off < out[j].off })
	for i := range out {
		end := sub.off + sub.size
		if i+1 < len(out) {
			end = out[i+1].off
		}
		out[i].Size = max(end, out[i].off) - out[i].off
	}
	return out
}

// place returns the line for each piece of its code. A line without code has
// its place only.
func (l *fileLine) place(f *File, seg uint16) []Line {
	if l.Size == 0 {
		one := l.Line
		rva, ok := f.RVA(seg, l.off)
		if one.RVA = rva; !ok {
			return nil
		}
		return []Line{one}
	}
	var out []Line
	for _, r := range f.pieces(seg, l.off, l.Size) {
		one := l.Line
		one.RVA, one.Size = r.RVA, r.Size
		out = append(out, one)
	}
	return out
}

// LineAt returns the source line of the code at an address: the entry that
// covers it. Code that the compiler marked as from no line has none.
func (f *File) LineAt(rva uint32) (Line, bool) {
	seg, off, ok := f.SegOff(rva)
	if !ok {
		return Line{}, false
	}
	m, ok := f.ModuleAt(rva)
	if !ok {
		return Line{}, false
	}
	ml := f.module(m.Index).lines()
	key := segOff(seg, off)
	i := sort.Search(len(ml.subs), func(i int) bool { return segOff(ml.subs[i].seg, ml.subs[i].off) > key }) - 1
	for ; i >= 0 && ml.subs[i].seg == seg; i-- {
		sub := ml.subs[i]
		if off-sub.off >= sub.size {
			if sub.size == 0 {
				continue
			}
			break
		}
		lines := ml.lineList(sub)
		// Of several entries at one address the last is in force.
		j := sort.Search(len(lines), func(j int) bool { return lines[j].off > off }) - 1
		if j < 0 || lines[j].Number == lineHidden || lines[j].Number == lineHidden2 {
			return Line{}, false
		}
		for _, l := range lines[j].place(f, seg) {
			if rva-l.RVA < l.Size {
				l.File = ml.file(f, lines[j].file)
				return l, true
			}
		}
		return Line{}, false
	}
	return Line{}, false
}

// Lines yields the lines of one module by address.
func (f *File) Lines(module int) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		ms := f.module(module)
		if ms == nil {
			return
		}
		ml := ms.lines()
		files := map[uint32]SourceFile{}
		for _, sub := range ml.subs {
			for _, fl := range ml.lineList(sub) {
				sf, ok := files[fl.file]
				if !ok {
					sf = ml.file(f, fl.file)
					files[fl.file] = sf
				}
				for _, l := range fl.place(f, sub.seg) {
					l.File = sf
					if !yield(l) {
						return
					}
				}
			}
		}
	}
}

// LinesOf yields the lines of the source files that a name means: its full
// path, or the end of it from a separator on, without case.
func (f *File) LinesOf(file string) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for i := range f.Modules() {
			has := false
			for name := range f.ModuleFiles(i) {
				if has = sameFile(name, file); has {
					break
				}
			}
			if !has {
				continue
			}
			for l := range f.Lines(i) {
				if sameFile(l.File.Name, file) && !yield(l) {
					return
				}
			}
		}
	}
}

func sameFile(path, name string) bool {
	path, name = slashes(path), slashes(name)
	if len(name) == 0 || len(path) < len(name) || !strings.EqualFold(path[len(path)-len(name):], name) {
		return false
	}
	return len(path) == len(name) || path[len(path)-len(name)-1] == '/'
}

func slashes(s string) string { return strings.ReplaceAll(s, `\`, "/") }
