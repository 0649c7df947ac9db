package pe

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// An Export is a function or variable that an image offers by name or ordinal.
type Export struct {
	Name      string // "" when exported by ordinal only
	Ordinal   uint32
	Hint      uint32 // place in the table of names; 0 without a name
	RVA       uint32
	Forwarder string // "NTDLL.RtlAllocateHeap": the export lives elsewhere, RVA is that of this text
}

// An ExportTable is the export directory.
type ExportTable struct {
	Name              string // of the image when it was linked
	TimeDateStamp     uint32
	Base              uint32 // ordinal of the first function
	NumberOfFunctions uint32
	NumberOfNames     uint32
	FunctionsRVA      uint32 // of the table of addresses

	// Exports are sorted by RVA, those at one RVA by name. A function with
	// several names is several exports.
	Exports []Export

	dir DataDirectory
}

const (
	// maxExports is the number of ordinals there are.
	maxExports = 1 << 16
	// maxExportText bounds what the names of one image add up to; the largest
	// known tables hold about 1 MB.
	maxExportText = 16 << 20
)

// Exports returns the export table. It is read once. With an error comes what
// could be read, or nil.
func (im *Image) Exports() (*ExportTable, error) {
	im.exportsOnce.Do(func() { im.exports, im.exportsErr = im.readExports() })
	return im.exports, im.exportsErr
}

// ExportName returns the image's own name in the export directory without
// reading the table.
func (im *Image) ExportName() (string, error) {
	dir := im.Directory(DirExport)
	if dir.RVA == 0 || dir.Size < 40 {
		return "", fmt.Errorf("export directory: %w", ErrNoDirectory)
	}
	b, err := im.read(dir.RVA, 40)
	if err != nil {
		return "", fmt.Errorf("export directory: %w", err)
	}
	return im.cString(binary.LittleEndian.Uint32(b[12:]))
}

func (im *Image) readExports() (*ExportTable, error) {
	dir := im.Directory(DirExport)
	if dir.RVA == 0 || dir.Size == 0 {
		return nil, fmt.Errorf("export directory: %w", ErrNoDirectory)
	}
	b, err := im.read(dir.RVA, 40)
	if err != nil {
		return nil, fmt.Errorf("export directory: %w", err)
	}
	d := &decoder{record: "export directory", base: int64(dir.RVA), mapped: true, b: b, off: 4}
	t := &ExportTable{TimeDateStamp: d.u32(), dir: dir}
	d.u32() // version
	nameRVA := d.u32()
	t.Base = d.u32()
	t.NumberOfFunctions = d.u32()
	t.NumberOfNames = d.u32()
	functions, names, ordinals := d.u32(), d.u32(), d.u32()
	t.FunctionsRVA = functions
	if t.NumberOfFunctions > maxExports || t.NumberOfNames > maxExports {
		d.fail("%d functions and %d names, at most %d are read", t.NumberOfFunctions, t.NumberOfNames, maxExports)
	}
	if d.err != nil {
		return t, d.err
	}
	var firstErr error
	note := func(what string, err error) {
		if err != nil && firstErr == nil {
			firstErr = fmt.Errorf("export %s: %w", what, err)
		}
	}
	t.Name, err = im.cString(nameRVA)
	note("directory name", err)

	// The names lie in the directory's range: one read serves them all.
	text := textCache{im: im, rva: dir.RVA}
	if dir.Size <= maxExportText {
		text.b, _ = im.read(dir.RVA, dir.Size)
	}
	addrs, err := im.read(functions, t.NumberOfFunctions*4)
	note("addresses", err)
	nameTab, err := im.read(names, t.NumberOfNames*4)
	note("name table", err)
	ordTab, err := im.read(ordinals, t.NumberOfNames*2)
	note("ordinal table", err)

	named := make([]bool, len(addrs)/4)
	t.Exports = make([]Export, 0, len(named))
	add := func(i int, name string, hint int) {
		rva := binary.LittleEndian.Uint32(addrs[i*4:])
		if rva == 0 {
			return // a gap between ordinals
		}
		e := Export{Name: name, Ordinal: t.Base + uint32(i), Hint: uint32(hint), RVA: rva}
		if rva-dir.RVA < dir.Size {
			e.Forwarder, err = text.at(rva)
			if err != nil || e.Forwarder == "" {
				note("forwarder", err)
				return
			}
		}
		t.Exports = append(t.Exports, e)
	}
	for i := range min(len(nameTab)/4, len(ordTab)/2) {
		at := int(binary.LittleEndian.Uint16(ordTab[i*2:]))
		if at >= len(named) {
			note("ordinal", im.errorf("table", ordinals+uint32(i)*2, "function %d of %d", at, len(named)))
			continue
		}
		name, err := text.at(binary.LittleEndian.Uint32(nameTab[i*4:]))
		if err != nil {
			note("name", err)
			continue
		}
		named[at] = true
		add(at, name, i)
	}
	for i, has := range named {
		if !has {
			add(i, "", 0)
		}
	}
	slices.SortStableFunc(t.Exports, func(a, b Export) int {
		return cmp.Or(cmp.Compare(a.RVA, b.RVA), strings.Compare(a.Name, b.Name))
	})
	return t, firstErr
}

// ByOrdinal returns the exports in the order of their ordinals, those of one
// ordinal in the order of the name table.
func (t *ExportTable) ByOrdinal() []Export {
	list := slices.Clone(t.Exports)
	slices.SortStableFunc(list, func(a, b Export) int {
		return cmp.Or(cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Hint, b.Hint))
	})
	return list
}

// textCache reads names, most of them from a range that is at hand.
type textCache struct {
	im   *Image
	rva  uint32
	b    []byte
	used int
}

func (c *textCache) at(rva uint32) (string, error) {
	// A hostile table points all its names at one long text.
	if c.used > maxExportText {
		return "", c.im.errorf("names", rva, "more than %d bytes of names", maxExportText)
	}
	var s string
	var err error
	if off := rva - c.rva; uint64(off) < uint64(len(c.b)) {
		part := c.b[off:min(len(c.b), int(off)+maxName)]
		if i := bytes.IndexByte(part, 0); i >= 0 {
			s = string(part[:i])
		} else {
			s, err = c.im.cString(rva)
		}
	} else {
		s, err = c.im.cString(rva)
	}
	c.used += len(s)
	return s, err
}

// Nearest returns the last export at or before rva that lives in the image; of
// several names at one address, the first.
func (t *ExportTable) Nearest(rva uint32) (Export, bool) {
	i := t.search(uint64(rva) + 1)
	if i > 0 && t.Exports[i-1].Forwarder != "" {
		i = t.search(uint64(t.dir.RVA)) // forwarders lie together, in the directory
	}
	if i == 0 {
		return Export{}, false
	}
	return t.Exports[t.search(uint64(t.Exports[i-1].RVA))], true
}

// search returns the index of the first export at or behind rva.
func (t *ExportTable) search(rva uint64) int {
	i, _ := slices.BinarySearchFunc(t.Exports, rva, func(e Export, x uint64) int {
		return cmp.Compare(uint64(e.RVA), x)
	})
	return i
}

// Lookup returns the export with a name.
func (t *ExportTable) Lookup(name string) (Export, bool) {
	for _, e := range t.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}
