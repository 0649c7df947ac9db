package pdb

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
)

// Feature codes at the end of the PDB info stream.
const (
	featVC110       = 20091201
	featVC140       = 20140508
	featNoTypeMerge = 0x4d544f4e
	featMinimal     = 0x494e494d // /DEBUG:FASTLINK: the symbols stay in the object files
)

const infoVC70 = 20000404 // the first version of the info stream with a GUID

type infoStream struct {
	hasIDs  bool
	named   map[string]uint32
	nameErr error // why named is incomplete
}

func (f *File) readInfo() error {
	s := f.m.stream(1, "PDB info stream")
	if s.len() < 28 {
		return &FormatError{"PDB info stream", 0, fmt.Sprintf("%d bytes, at least 28 needed", s.len())}
	}
	d := s.decoder("PDB info stream", 0, s.len())
	version := d.u32()
	f.id.Stamp = d.u32()
	f.id.InfoAge = d.u32()
	copy(f.id.GUID[:], d.bytes(16))
	if d.err != nil {
		return d.err
	}
	if version < infoVC70 {
		return &UnsupportedError{fmt.Sprintf("PDB of version %d", version), "it is from before Visual C++ 7 and has no GUID"}
	}
	f.id.Age = f.id.InfoAge
	f.info.named = readNamedStreams(d)
	f.info.nameErr = d.err
	for d.left() >= 4 {
		switch d.u32() {
		case featVC110:
			f.info.hasIDs = true
			return nil // nothing follows in such a file
		case featVC140:
			f.info.hasIDs = true
		case featMinimal:
			return &UnsupportedError{"PDB linked with /DEBUG:FASTLINK", "its symbols lie in the object files; link with /DEBUG:FULL, or convert it with mspdbcmf.exe"}
		}
	}
	return nil
}

// readNamedStreams decodes the table from offsets in a string buffer to
// stream numbers.
func readNamedStreams(d *decoder) map[string]uint32 {
	text := d.bytes(int(d.u32()))
	named := map[string]uint32{}
	for off, n := range readHashTable(d) {
		if uint64(off) < uint64(len(text)) {
			name, _, _ := bytes.Cut(text[off:], []byte{0})
			named[string(name)] = n
		}
	}
	return named
}

// readHashTable decodes a serialized hash table of 32-bit numbers: how many
// entries, which slots are used, which were deleted, the pairs.
func readHashTable(d *decoder) map[uint32]uint32 {
	size := d.u32()
	capacity := d.u32()
	present := d.bytes(4 * int(min(d.u32(), 1<<24)))
	d.bytes(4 * int(min(d.u32(), 1<<24))) // deleted slots
	if d.err == nil && (size > capacity || uint64(size)*8 > uint64(d.left())) {
		d.fail("hash table of %d entries, capacity %d", size, capacity)
	}
	table := map[uint32]uint32{}
	for i := 0; i < len(present)*8 && d.err == nil; i++ {
		if present[i/8]>>(i%8)&1 != 0 {
			k, v := d.u32(), d.u32()
			if d.err == nil {
				table[k] = v
			}
		}
	}
	return table
}

// StreamNames returns the names of the named streams, sorted.
func (f *File) StreamNames() []string {
	var names []string
	for n := range f.info.named {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// NamedStream returns a copy of a named stream: "sourcelink", "srcsrv",
// "/names", "/src/files/…". Names are matched without case.
func (f *File) NamedStream(name string) ([]byte, error) {
	s := f.named(name)
	if s == nil {
		return nil, fmt.Errorf("PDB has no stream %q", name)
	}
	b, err := s.view(0, s.len())
	return bytes.Clone(b), err
}

func (f *File) named(name string) *stream {
	n, ok := f.info.named[name]
	if !ok {
		for k, v := range f.info.named {
			if strings.EqualFold(k, name) {
				n, ok = v, true
			}
		}
	}
	if !ok {
		return nil
	}
	return f.m.stream(n, "stream "+name)
}

// A stringTable is the /names stream: text that line and file records refer
// to by offset.
type stringTable struct {
	s   *stream
	len uint32
}

const (
	namesSignature = 0xeffeeffe
	maxName        = 32 << 10 // longer than any path
)

func (f *File) readNames() *stringTable {
	s := f.named("/names")
	d := s.decoder("/names stream", 0, min(s.len(), 12))
	sig := d.u32()
	d.u32() // hash version
	n := d.u32()
	if d.err != nil || sig != namesSignature || n > s.len()-12 {
		return &stringTable{}
	}
	return &stringTable{s, n}
}

// at returns the string at an offset, "" when there is none.
func (t *stringTable) at(off uint32) string {
	if off >= t.len {
		return ""
	}
	for n := uint32(256); ; n *= 4 {
		n = min(n, t.len-off, maxName)
		b, err := t.s.view(12+off, n)
		if err != nil {
			return ""
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(b[:i])
		}
		if n == t.len-off || n == maxName {
			return ""
		}
	}
}
