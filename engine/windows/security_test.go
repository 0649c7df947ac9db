package windows

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"kdap/engine/memory"
)

// flat is an address space whose bytes begin at an address; the rest is missing.
type flat struct {
	base uint64
	b    []byte
}

func (f flat) Read(va uint64, p []byte) (int, error) {
	if va < f.base || va-f.base >= uint64(len(f.b)) {
		return 0, &memory.ReadError{Addr: va}
	}
	n := copy(p, f.b[va-f.base:])
	if n < len(p) {
		return n, &memory.ReadError{Addr: va + uint64(n)}
	}
	return n, nil
}

func sidBytes(authority byte, parts ...uint32) []byte {
	b := []byte{1, byte(len(parts)), 0, 0, 0, 0, 0, authority}
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint32(b, p)
	}
	return b
}

func aceBytes(kind, flags byte, mask uint32, sid []byte) []byte {
	b := []byte{kind, flags, 0, 0}
	binary.LittleEndian.PutUint16(b[2:], uint16(8+len(sid)))
	return append(binary.LittleEndian.AppendUint32(b, mask), sid...)
}

func aclBytes(entries ...[]byte) []byte {
	body := slices.Concat(entries...)
	b := []byte{2, 0, 0, 0, byte(len(entries)), 0, 0, 0}
	binary.LittleEndian.PutUint16(b[2:], uint16(8+len(body)))
	return append(b, body...)
}

// TestSecurityDescriptor reads one of each form, laid out by hand after
// "[MS-DTYP]" 2.4.2 to 2.4.6.
func TestSecurityDescriptor(t *testing.T) {
	owner, group := sidBytes(5, 32, 544), sidBytes(5, 18)
	dacl := aclBytes(aceBytes(0, 0, 0x1f0003, group), aceBytes(0x11, 0x13, 1, sidBytes(16, 12288)))
	b := make([]byte, 20)
	b[0] = 1
	binary.LittleEndian.PutUint16(b[2:], SelfRelative|DACLPresent)
	for off, part := range map[int][]byte{4: owner, 8: group, 16: dacl} {
		binary.LittleEndian.PutUint32(b[off:], uint32(len(b)))
		b = append(b, part...)
	}
	space := flat{0x1000, b}
	d, err := ReadSecurityDescriptor(space, 0x1000)
	if err != nil || d.SACL != 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	for at, want := range map[uint64]SID{d.Owner: "S-1-5-32-544", d.Group: "S-1-5-18"} {
		if got, err := ReadSID(space, at); got != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	a, err := ReadACL(space, d.DACL)
	want := []ACE{
		{Type: 0, Size: 20, Mask: 0x1f0003, SID: "S-1-5-18"},
		{Type: 0x11, Flags: 0x13, Size: 20, Mask: 1, SID: "S-1-16-12288"},
	}
	if err != nil || !slices.Equal(a.Entries, want) {
		t.Errorf("got %+v, %v, want %+v", a.Entries, err, want)
	}
	if name := a.Entries[1].TypeName(); name != "SYSTEM_MANDATORY_LABEL_ACE_TYPE" {
		t.Errorf("type %q", name)
	}
}

// TestACLDamaged checks that a list that claims more than it has gives its good part.
func TestACLDamaged(t *testing.T) {
	b := aclBytes(aceBytes(0, 0, 1, sidBytes(1, 0)))
	b[4] = 3
	a, err := ReadACL(flat{0, b}, 0)
	if len(a.Entries) != 1 || err == nil || !strings.Contains(err.Error(), "after 1 of 3") {
		t.Errorf("%+v, %v", a, err)
	}
}

// FuzzReadACL checks that no list has more entries than its bytes can hold, and
// that every SID is spelled as one.
func FuzzReadACL(f *testing.F) {
	f.Add(aclBytes(aceBytes(0, 0, 1, sidBytes(1, 0)), aceBytes(5, 0, 1, sidBytes(5, 18))))
	f.Add(aclBytes(aceBytes(0, 0, 1, sidBytes(1, 0)))[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		a, _ := ReadACL(flat{0x1000, b}, 0x1000)
		if len(a.Entries)*aceHeaderSize > len(b) {
			t.Fatalf("%d entries in %d bytes", len(a.Entries), len(b))
		}
		for _, e := range a.Entries {
			if e.SID != "" && !strings.HasPrefix(string(e.SID), "S-1-") {
				t.Fatalf("SID %q", e.SID)
			}
		}
	})
}
