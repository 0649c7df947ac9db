package pe

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// A Version is a version resource.
type Version struct {
	Fixed        bool      // the resource has the numbers below
	File         [4]uint16 // 10.0.19041.1288
	Product      [4]uint16
	FlagsMask    uint32
	Flags        uint32
	OS           uint32
	Type         uint32
	Subtype      uint32
	DateMS       uint32
	DateLS       uint32
	Translations []uint32 // language in the low word, code page in the high one
	Strings      []VersionString
}

// A VersionString is a text of the version resource.
type VersionString struct {
	Table      string // language and code page, "040904b0"
	Key, Value string // "FileDescription", …
}

// String returns the first text under key, or "".
func (v *Version) String(key string) string {
	for _, s := range v.Strings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

const (
	resourceVersion  = 16
	maxResourceDir   = 4096
	maxVersionData   = 1 << 16 // lengths in it are 16-bit
	maxVersionString = 4096
)

// Version returns the version resource: of several, the first.
func (im *Image) Version() (*Version, error) {
	dir := im.Directory(DirResource)
	if dir.RVA == 0 {
		return nil, fmt.Errorf("resource directory: %w", ErrNoDirectory)
	}
	// Three levels: type, name, language. Each is visited once, so a cycle in
	// the tree does no harm.
	off, id := uint32(0), uint32(resourceVersion)
	for range 3 {
		next, err := im.resourceEntry(dir, off, id)
		if err != nil {
			return nil, fmt.Errorf("version resource: %w", err)
		}
		id = anyResource
		off = next & 0x7fffffff
		if next>>31 == 0 {
			break
		}
	}
	b, err := im.read(dir.RVA+off, 16)
	if err != nil {
		return nil, fmt.Errorf("version resource: %w", err)
	}
	rva, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	data, err := im.read(rva, min(size, maxVersionData))
	if err != nil {
		return nil, fmt.Errorf("version resource: %w", err)
	}
	return parseVersion(data, int64(rva))
}

const anyResource = 0xffffffff

// resourceEntry returns the offset field of the entry with an id in the resource
// directory at off.
func (im *Image) resourceEntry(dir DataDirectory, off, id uint32) (uint32, error) {
	at := dir.RVA + off
	b, err := im.read(at, 16)
	if err != nil {
		return 0, err
	}
	named, ids := uint32(binary.LittleEndian.Uint16(b[12:])), uint32(binary.LittleEndian.Uint16(b[14:]))
	n := named + ids
	if n > maxResourceDir {
		return 0, im.errorf("resource directory", at, "%d entries, at most %d are read", n, maxResourceDir)
	}
	b, err = im.read(at+16, n*8)
	for i := 0; i+8 <= len(b); i += 8 {
		if v := binary.LittleEndian.Uint32(b[i:]); v == id || id == anyResource {
			return binary.LittleEndian.Uint32(b[i+4:]), nil
		}
	}
	if err == nil {
		err = ErrNoDirectory
	}
	return 0, err
}

// A versionBlock is a node of the version resource: length, value length, type,
// key, value, children, each aligned to 4 bytes.
type versionBlock struct {
	key      string
	value    []byte
	children []byte
	text     bool
}

// nextBlock cuts one block off b, whose first byte is 4-aligned in the resource.
func nextBlock(d *decoder, b []byte) (blk versionBlock, rest []byte, ok bool) {
	if len(b) < 6 {
		return blk, nil, false
	}
	size := int(binary.LittleEndian.Uint16(b))
	valueLen := int(binary.LittleEndian.Uint16(b[2:]))
	blk.text = binary.LittleEndian.Uint16(b[4:]) == 1
	if size < 6 {
		return blk, nil, false // padding at the end
	}
	if size > len(b) {
		d.fail("block of %d bytes, %d are left", size, len(b))
		size = len(b)
	}
	rest = b[min(align4(size), len(b)):]
	b = b[:size]
	key := utf16z(b[6:])
	blk.key = string(utf16.Decode(key))
	at := min(align4(6+2*(len(key)+1)), len(b))
	if blk.text {
		valueLen *= 2 // counted in characters
	}
	end := min(at+valueLen, len(b))
	blk.value = b[at:end]
	blk.children = b[min(align4(end), len(b)):]
	return blk, rest, true
}

func align4(n int) int { return (n + 3) &^ 3 }

func utf16z(b []byte) []uint16 {
	var out []uint16
	for i := 0; i+1 < len(b) && len(out) < maxVersionString; i += 2 {
		c := binary.LittleEndian.Uint16(b[i:])
		if c == 0 {
			break
		}
		out = append(out, c)
	}
	return out
}

// parseVersion decodes VS_VERSIONINFO. Its nesting is fixed: StringFileInfo
// holds tables, tables hold strings; VarFileInfo holds the translations.
func parseVersion(b []byte, base int64) (*Version, error) {
	d := &decoder{record: "VS_VERSIONINFO", base: base, mapped: true, b: b}
	root, _, ok := nextBlock(d, b)
	if !ok || root.key != "VS_VERSION_INFO" {
		d.fail("not a version resource")
		return nil, d.err
	}
	v := new(Version)
	v.fixed(root.value)
	for blk, rest, ok := nextBlock(d, root.children); ok; blk, rest, ok = nextBlock(d, rest) {
		for table, more, ok := nextBlock(d, blk.children); ok; table, more, ok = nextBlock(d, more) {
			switch blk.key {
			case "VarFileInfo":
				for i := 0; i+4 <= len(table.value) && table.key == "Translation"; i += 4 {
					v.Translations = append(v.Translations, binary.LittleEndian.Uint32(table.value[i:]))
				}
			case "StringFileInfo":
				for s, left, ok := nextBlock(d, table.children); ok; s, left, ok = nextBlock(d, left) {
					value := utf16z(s.value)
					v.Strings = append(v.Strings, VersionString{table.key, s.key, string(utf16.Decode(value))})
				}
			}
		}
	}
	return v, d.err
}

// fixed decodes a VS_FIXEDFILEINFO and reports whether it is one.
func (v *Version) fixed(f []byte) bool {
	if len(f) < 52 || binary.LittleEndian.Uint32(f) != 0xfeef04bd {
		return false
	}
	w := func(i int) uint32 { return binary.LittleEndian.Uint32(f[i*4:]) }
	quad := func(ms, ls uint32) [4]uint16 {
		return [4]uint16{uint16(ms >> 16), uint16(ms), uint16(ls >> 16), uint16(ls)}
	}
	v.Fixed = true
	v.File, v.Product = quad(w(2), w(3)), quad(w(4), w(5))
	v.FlagsMask, v.Flags, v.OS, v.Type, v.Subtype = w(6), w(7), w(8), w(9), w(10)
	v.DateMS, v.DateLS = w(11), w(12)
	return true
}

// ParseFixedVersion decodes the numbers of a version resource that were stored
// apart from the image, as minidumps do; false when they are no such numbers.
func ParseFixedVersion(b []byte) (*Version, bool) {
	v := new(Version)
	return v, v.fixed(b)
}
