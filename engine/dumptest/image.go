package dumptest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"

	"kdap/testdata"
)

var le = binary.LittleEndian

// An Image is one of the committed PE files, as the loader would map it.
// The files are this project's own, so a malformed one panics.
type Image struct {
	File      string // "ntdll.dll"
	Base      uint64 // preferred
	Size      uint32
	Entry     uint32
	TimeStamp uint32
	CheckSum  uint32
	PDB       PDBID
	Symbols   []Symbol // by RVA
	Exports   map[string]uint32

	pe32      bool
	raw       []byte
	mapped    []byte // headers and sections at their RVAs
	sections  []section
	imports   []importSlot
	relocs    []uint32
	functions []function
}

// A PDBID names a PDB as an image's RSDS record does.
type PDBID struct {
	GUID [16]byte
	Age  uint32
	Path string
}

// GUIDHex is the GUID as symbol stores write it.
func (p PDBID) GUIDHex() string {
	return fmt.Sprintf("%08X%04X%04X%X", le.Uint32(p.GUID[:]), le.Uint16(p.GUID[4:]), le.Uint16(p.GUID[6:]), p.GUID[8:])
}

// Base is the file name of the PDB.
func (p PDBID) Base() string { return p.Path[strings.LastIndexAny(p.Path, `\/`)+1:] }

// A Symbol is a public symbol of an image.
type Symbol struct {
	Name string
	RVA  uint32
	Code bool
}

type section struct {
	name       string
	rva, size  uint32
	writable   bool
	executable bool
}

type importSlot struct {
	dll, name string
	rva       uint32
}

type function struct{ begin, end, unwind uint32 }

var (
	imageMu sync.Mutex
	images  = map[string]*Image{}
)

// LoadImage parses a file of testdata/images.
func LoadImage(file string) *Image {
	imageMu.Lock()
	defer imageMu.Unlock()
	if im := images[file]; im != nil {
		return im
	}
	raw, err := testdata.Images.ReadFile("images/" + file)
	if err != nil {
		panic(err)
	}
	im := parseImage(file, raw)
	list, err := testdata.Images.ReadFile("images/" + strings.TrimSuffix(im.PDB.Base(), ".pdb") + ".publics")
	if err != nil {
		panic(err)
	}
	im.addSymbols(string(list))
	images[file] = im
	return im
}

// parseImage follows PE/COFF §3 and §5, of well-formed files only.
func parseImage(file string, raw []byte) *Image {
	pe := int(le.Uint32(raw[0x3c:]))
	opt := raw[pe+24:]
	im := &Image{
		File: file, raw: raw,
		TimeStamp: le.Uint32(raw[pe+8:]), Entry: le.Uint32(opt[16:]), Base: le.Uint64(opt[24:]),
		Size: le.Uint32(opt[56:]), pe32: le.Uint16(opt) == 0x10b, CheckSum: le.Uint32(opt[64:]),
		Exports: map[string]uint32{},
	}
	im.Size = roundUp(im.Size, 0x1000)
	dirs := opt[112:]
	if im.pe32 {
		im.Base, dirs = uint64(le.Uint32(opt[28:])), opt[96:]
	}
	im.mapped = make([]byte, im.Size)
	copy(im.mapped, raw[:le.Uint32(opt[60:])])
	n := int(le.Uint16(raw[pe+6:]))
	table := raw[pe+24+int(le.Uint16(raw[pe+20:])):]
	for i := range n {
		s := table[40*i:]
		rva, size, off := le.Uint32(s[12:]), le.Uint32(s[16:]), le.Uint32(s[20:])
		flags := le.Uint32(s[36:])
		im.sections = append(im.sections, section{
			strings.TrimRight(string(s[:8]), "\x00"), rva, le.Uint32(s[8:]), flags>>31 != 0, flags>>29&1 != 0,
		})
		copy(im.mapped[rva:], raw[off:off+min(size, im.Size-rva)])
	}
	dir := func(i int) (rva, size uint32) { return le.Uint32(dirs[8*i:]), le.Uint32(dirs[8*i+4:]) }
	if rva, size := dir(0); size > 0 {
		im.parseExports(rva)
	}
	if rva, size := dir(1); size > 0 {
		im.parseImports(rva)
	}
	if rva, size := dir(5); size > 0 {
		im.parseRelocs(im.mapped[rva : rva+size])
	}
	if rva, size := dir(6); size > 0 {
		im.parseDebug(im.mapped[rva : rva+size])
	}
	rva, size := dir(3)
	for p := im.mapped[rva : rva+size]; len(p) >= 12; p = p[12:] {
		im.functions = append(im.functions, function{le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:])})
	}
	return im
}

func (im *Image) cstring(rva uint32) string {
	s := im.mapped[rva:]
	return string(s[:bytes.IndexByte(s, 0)])
}

func (im *Image) parseExports(rva uint32) {
	d := im.mapped[rva:]
	functions, names, ordinals := le.Uint32(d[28:]), le.Uint32(d[32:]), le.Uint32(d[36:])
	for i := range le.Uint32(d[24:]) {
		name := im.cstring(le.Uint32(im.mapped[names+4*i:]))
		ordinal := uint32(le.Uint16(im.mapped[ordinals+2*i:]))
		im.Exports[name] = le.Uint32(im.mapped[functions+4*ordinal:])
	}
}

func (im *Image) parseImports(rva uint32) {
	for d := im.mapped[rva:]; le.Uint32(d[12:]) != 0; d = d[20:] {
		dll := im.cstring(le.Uint32(d[12:]))
		lookup, slot := le.Uint32(d), le.Uint32(d[16:])
		for ; le.Uint32(im.mapped[lookup:]) != 0; lookup, slot = lookup+im.pointer(), slot+im.pointer() {
			hint := le.Uint32(im.mapped[lookup:])
			im.imports = append(im.imports, importSlot{dll, im.cstring(hint + 2), slot})
		}
	}
}

// loadName is the file's name where it is loaded: that of 32-bit DLLs is there
// twice, so theirs has a w before it here.
func (im *Image) loadName() string {
	if im.pe32 && im.isDLL() {
		return strings.TrimPrefix(im.File, "w")
	}
	return im.File
}

// pointer is the size of a pointer.
func (im *Image) pointer() uint32 {
	if im.pe32 {
		return 4
	}
	return 8
}

func (im *Image) parseRelocs(d []byte) {
	for len(d) >= 8 {
		page, size := le.Uint32(d), le.Uint32(d[4:])
		for e := d[8:size]; len(e) >= 2; e = e[2:] {
			if v := le.Uint16(e); v>>12 == 10 || v>>12 == 3 {
				im.relocs = append(im.relocs, page+uint32(v&0xfff))
			}
		}
		d = d[size:]
	}
}

func (im *Image) parseDebug(d []byte) {
	for ; len(d) >= 28; d = d[28:] {
		rva := le.Uint32(d[20:])
		if le.Uint32(d[12:]) != 2 || string(im.mapped[rva:rva+4]) != "RSDS" {
			continue
		}
		r := im.mapped[rva:]
		copy(im.PDB.GUID[:], r[4:20])
		im.PDB.Age = le.Uint32(r[20:])
		im.PDB.Path = im.cstring(rva + 24)
	}
}

// addSymbols reads lines "segment:offset name f|d" (decimal).
func (im *Image) addSymbols(list string) {
	for line := range strings.Lines(list) {
		var seg, off uint32
		var name, kind string
		if n, _ := fmt.Sscanf(line, "%d:%d %s %s", &seg, &off, &name, &kind); n != 4 {
			panic(im.File + ": bad line in .publics: " + line)
		}
		if seg == 0 || int(seg) > len(im.sections) {
			continue
		}
		im.Symbols = append(im.Symbols, Symbol{name, im.sections[seg-1].rva + off, kind == "f"})
	}
	slices.SortFunc(im.Symbols, func(a, b Symbol) int {
		if a.RVA != b.RVA {
			return int(a.RVA) - int(b.RVA)
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// StoreKey is the folder of the image in a symbol store.
func (im *Image) StoreKey() string { return fmt.Sprintf("%08X%x", im.TimeStamp, im.Size) }

func (im *Image) isDLL() bool { return im.mapped[le.Uint32(im.mapped[0x3c:])+22+1]&0x20 != 0 }

// Module is the name that debuggers put before the "!".
func (im *Image) Module() string {
	if im.File == "ntoskrnl.exe" {
		return "nt"
	}
	return strings.TrimSuffix(im.File, path.Ext(im.File))
}

// Sym returns the RVA of a symbol.
func (im *Image) Sym(name string) uint32 {
	for _, s := range im.Symbols {
		if s.Name == name {
			return s.RVA
		}
	}
	panic("dumptest: no symbol " + name + " in " + im.File)
}

// Nearest names the symbol at or below an RVA, in its section.
func (im *Image) Nearest(rva uint32) (Symbol, uint32) {
	i := sort.Search(len(im.Symbols), func(i int) bool { return im.Symbols[i].RVA > rva })
	if i == 0 {
		return Symbol{}, 0
	}
	// Of several names at one place the first stands for all.
	s := im.Symbols[i-1]
	for i >= 2 && im.Symbols[i-2].RVA == s.RVA {
		i--
		s = im.Symbols[i-1]
	}
	return s, rva - s.RVA
}

// functionAt finds the unwind entry that covers an RVA.
func (im *Image) functionAt(rva uint32) (function, bool) {
	for _, f := range im.functions {
		if f.begin <= rva && rva < f.end {
			return f, true
		}
	}
	return function{}, false
}

// at returns the image as mapped at base: relocated, imports bound.
func (im *Image) at(base uint64, resolve func(dll, name string) uint64) []byte {
	b := slices.Clone(im.mapped)
	pe := le.Uint32(b[0x3c:])
	for _, r := range im.relocs {
		if im.pe32 {
			le.PutUint32(b[r:], le.Uint32(b[r:])+uint32(base-im.Base))
		} else {
			le.PutUint64(b[r:], le.Uint64(b[r:])+base-im.Base)
		}
	}
	if im.pe32 {
		le.PutUint32(b[pe+24+28:], uint32(base))
	} else {
		le.PutUint64(b[pe+24+24:], base)
	}
	for _, i := range im.imports {
		if at := resolve(i.dll, i.name); im.pe32 {
			le.PutUint32(b[i.rva:], uint32(at))
		} else {
			le.PutUint64(b[i.rva:], at)
		}
	}
	return b
}
