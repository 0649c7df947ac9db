package pdb

import (
	"bytes"
	"iter"
	"strings"
)

// fileList is the file info part of the DBI stream: which source files went
// into which module.
type fileList struct {
	s       *stream
	counts  []uint16
	offsets extent // an array of offsets into names
	names   extent
	first   []uint32 // per module: index of its first entry in offsets
}

func (f *File) readFileList() *fileList {
	e := f.dbi.fileInfo
	fl := &fileList{s: f.dbi.s}
	if e.len < 4 {
		return fl
	}
	d := f.dbi.s.decoder("file info", e.off, e.len)
	n := int(d.u16())
	d.u16() // the number of files, of which only 16 bits are stored
	d.bytes(n * 2)
	total := uint32(0)
	for range n {
		c := d.u16()
		fl.counts = append(fl.counts, c)
		fl.first = append(fl.first, total)
		total += uint32(c)
	}
	if d.err != nil || uint64(total)*4 > uint64(d.left()) {
		return &fileList{}
	}
	at := e.off + uint32(d.off)
	fl.offsets = extent{at, total * 4}
	fl.names = extent{at + total*4, e.off + e.len - at - total*4}
	return fl
}

// name returns entry i of the list of all modules' files.
func (fl *fileList) name(i uint32) string {
	off, err := fl.s.u32(fl.offsets.off + i*4)
	if err != nil || off >= fl.names.len {
		return ""
	}
	for n := uint32(256); ; n *= 4 {
		n = min(n, fl.names.len-off, maxName)
		b, err := fl.s.view(fl.names.off+off, n)
		if err != nil {
			return ""
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(b[:i])
		}
		if n == fl.names.len-off || n == maxName {
			return ""
		}
	}
}

// ModuleFiles yields the names of the source files of a module.
func (f *File) ModuleFiles(module int) iter.Seq[string] {
	return func(yield func(string) bool) {
		fl := f.files()
		if module < 0 || module >= len(fl.counts) {
			return
		}
		for i := range uint32(fl.counts[module]) {
			if !yield(fl.name(fl.first[module] + i)) {
				return
			}
		}
	}
}

// Files returns the names of all source files, each once, in the order of the file.
func (f *File) Files() []string {
	var out []string
	seen := map[string]bool{}
	for i := range f.files().counts {
		for name := range f.ModuleFiles(i) {
			if !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

// SourceFiles yields the source files of a module with their checksums.
func (f *File) SourceFiles(module int) iter.Seq[SourceFile] {
	return func(yield func(SourceFile) bool) {
		ms := f.module(module)
		if ms == nil {
			return
		}
		ml := ms.lines()
		for off := uint32(0); off+6 <= ml.checks.len; {
			d := ml.s.decoder("file checksums", ml.checks.off+off, 6)
			d.u32()
			n := uint32(d.u8())
			if d.err != nil || !yield(ml.file(f, off)) {
				return
			}
			off = (off + 6 + n + 3) &^ 3
		}
	}
}

// FindSource returns a source file by its full name, without case, with the
// checksum where the file has one.
func (f *File) FindSource(name string) (SourceFile, bool) {
	for i := range f.Modules() {
		for known := range f.ModuleFiles(i) {
			if !strings.EqualFold(known, name) {
				continue
			}
			for sf := range f.SourceFiles(i) {
				if strings.EqualFold(sf.Name, name) {
					return sf, true
				}
			}
			return SourceFile{Name: known}, true
		}
	}
	return SourceFile{}, false
}
