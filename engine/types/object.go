package types

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"

	"kdap/engine/memory"
)

// A NoFieldError says that a type has no member of a name. Code asks for a
// member and handles this error where it asks "is this build like that".
type NoFieldError struct{ Type, Field string }

func (e *NoFieldError) Error() string { return fmt.Sprintf("%s has no field %s", e.Type, e.Field) }

// A NoTypeError says that the symbols describe no such type.
type NoTypeError struct{ Name string }

func (e *NoTypeError) Error() string { return fmt.Sprintf("no type %s in the symbols", e.Name) }

// An Object is a typed place in an address space. It is a value: methods that
// narrow it return new objects. The first error stays with an object and comes
// out of the method that finally reads, so that paths can be written in one go:
//
//	p.Field("Pcb").Field("DirectoryTableBase").Uint()
type Object struct {
	space memory.Space
	typ   *Type
	addr  uint64
	err   error
}

// NewObject returns the object of type t at addr. A nil t gives an object
// whose every use fails.
func NewObject(space memory.Space, t *Type, addr uint64) Object {
	return Object{space: space, typ: t, addr: addr}
}

// Failed returns an object on which every read returns err.
func Failed(err error) Object { return Object{err: err} }

// FailedAt is Failed for an object whose address is known all the same.
func FailedAt(addr uint64, err error) Object { return Object{addr: addr, err: err} }

// Err returns the error that the path to this object met, if any. The zero
// Object has one too: what could not be found is then only missing.
func (o Object) Err() error {
	if o.err == nil && o.typ == nil {
		return errNoType
	}
	return o.err
}

var errNoType = errors.New("object without a type")

// Addr returns the object's address.
func (o Object) Addr() uint64 { return o.addr }

// Type returns the object's type, nil for an object without one.
func (o Object) Type() *Type { return o.typ }

// Space returns the address space the object lives in.
func (o Object) Space() memory.Space { return o.space }

// At returns the object of type t at another address of the same space.
func (o Object) At(addr uint64, t *Type) Object {
	if o.err = o.Err(); o.err != nil {
		return o
	}
	return NewObject(o.space, t, addr)
}

// In returns the same object seen in another address space.
func (o Object) In(space memory.Space) Object {
	o.space = space
	return o
}

// Has reports whether the object's type has a member; false for objects with an error.
func (o Object) Has(name string) bool {
	o.observe(true, name)
	return o.Err() == nil && o.typ.Kind.IsAggregate() && o.typ.Has(name)
}

// Field returns a member. The name may be a path, "Vm.Instance.WorkingSetLeafSize".
func (o Object) Field(path string) Object {
	o.observe(false, path)
	return o.member(path)
}

// member is Field without telling that it was asked for the first name.
func (o Object) member(path string) Object {
	if o.err = o.Err(); path == "" || o.err != nil {
		return o
	}
	for rest := path; rest != "" && o.err == nil; {
		name, tail, below := strings.Cut(rest, ".")
		rest = tail
		if !o.typ.Kind.IsAggregate() {
			return o.fail(&NoFieldError{o.typ.String(), name})
		}
		f := o.typ.Field(name)
		if f == nil {
			return o.fail(&NoFieldError{o.typ.Name, name})
		}
		o.addr += f.Offset
		o.typ = f.Type
		if o.typ == nil {
			return o.fail(fmt.Errorf("field %s has no type", name))
		}
		if below {
			o.observe(false, rest)
		}
	}
	return o
}

// FirstField returns the first of the named members that the type has: members
// move and are renamed between builds, and code asks for each spelling.
func (o Object) FirstField(paths ...string) Object {
	o.observe(false, paths...)
	var first Object
	for i, path := range paths {
		f := o.member(path)
		var missing *NoFieldError
		if !errors.As(f.err, &missing) {
			return f
		}
		if i == 0 {
			first = f
		}
	}
	return first
}

// Index returns element i of an array, or the i-th object after a pointer's target.
func (o Object) Index(i int) Object {
	if o.err = o.Err(); o.err != nil {
		return o
	}
	if o.typ.Kind == Pointer {
		o = o.Deref()
		if o.err != nil {
			return o
		}
		o.addr += uint64(i) * o.typ.Size
		return o
	}
	elem := o.typ.Elem()
	if o.typ.Kind != Array || elem == nil {
		return o.fail(fmt.Errorf("%s is not an array", o.typ))
	}
	o.addr += uint64(i) * elem.Size
	o.typ = elem
	return o
}

// Deref follows a pointer. A null pointer is an error.
func (o Object) Deref() Object {
	if o.err = o.Err(); o.err != nil {
		return o
	}
	elem := o.typ.Elem()
	if o.typ.Kind != Pointer || elem == nil {
		return o.fail(fmt.Errorf("%s is not a pointer", o.typ))
	}
	p, err := o.Uint()
	if err != nil {
		return o.fail(err)
	}
	if p == 0 {
		return o.fail(ErrNull)
	}
	return NewObject(o.space, elem, p)
}

// ErrNull is what following a null pointer gives.
var ErrNull = errors.New("null pointer")

// Bytes reads the whole object.
func (o Object) Bytes() ([]byte, error) {
	if err := o.Err(); err != nil {
		return nil, err
	}
	if o.typ.Size > maxObject {
		return nil, fmt.Errorf("%s is %#x bytes, too large to read as one", o.typ, o.typ.Size)
	}
	return memory.ReadBytes(o.space, o.addr, int(o.typ.Size))
}

// maxObject bounds what Bytes reads: sizes come from symbol files.
const maxObject = 16 << 20

// Uint reads a number, pointer, enum or bit field, zero-extended.
func (o Object) Uint() (uint64, error) {
	if err := o.Err(); err != nil {
		return 0, err
	}
	storage := o.typ
	if o.typ.Kind == BitField && o.typ.Elem() != nil {
		storage = o.typ.Elem()
	}
	switch {
	case storage.Kind.IsAggregate(), storage.Kind == Array,
		storage.Size != 1 && storage.Size != 2 && storage.Size != 4 && storage.Size != 8:
		return 0, fmt.Errorf("%s is not a number", o.typ)
	}
	v, err := memory.ReadUint(o.space, o.addr, int(storage.Size))
	if err != nil {
		return 0, err
	}
	if o.typ.Kind == BitField {
		v >>= o.typ.BitPos
		if o.typ.BitLen < 64 {
			v &= 1<<o.typ.BitLen - 1
		}
	}
	return v, nil
}

// Int reads a number, sign-extended from the object's width.
func (o Object) Int() (int64, error) {
	v, err := o.Uint()
	if err != nil {
		return 0, err
	}
	width := o.typ.Size * 8
	if o.typ.Kind == BitField {
		width = uint64(o.typ.BitLen)
	}
	if width == 0 || width >= 64 {
		return int64(v), nil
	}
	return int64(v<<(64-width)) >> (64 - width), nil
}

// maxString bounds strings that end at a NUL.
const maxString = 64 << 10

// UnicodeString reads a _UNICODE_STRING (Length, Buffer). An empty string or a
// null buffer gives "". Unpaired surrogates become U+FFFD.
func (o Object) UnicodeString() (string, error) {
	n, err := o.Field("Length").Uint()
	if err != nil {
		return "", err
	}
	buf, err := o.Field("Buffer").Uint()
	if err != nil || n == 0 || buf == 0 {
		return "", err
	}
	b, err := memory.ReadBytes(o.space, buf, int(n&^1))
	return UTF16(b), err
}

// UTF16 decodes little-endian UTF-16.
func UTF16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// CString reads a character array up to its NUL or end, or the string a
// character pointer points to.
func (o Object) CString() (string, error) {
	if err := o.Err(); err != nil {
		return "", err
	}
	n := o.typ.Size
	if o.typ.Kind == Pointer {
		o = o.Deref()
		n = maxString
	}
	if o.err != nil {
		return "", o.err
	}
	return ReadCString(o.space, o.addr, int(min(n, maxString)))
}

// ReadCString reads bytes up to a NUL, at most limit.
func ReadCString(space memory.Space, addr uint64, limit int) (string, error) {
	var out []byte
	var chunk [64]byte
	for len(out) < limit {
		// A chunk never crosses a page, so a string that ends before an
		// unreadable page is read whole.
		n := min(len(chunk), limit-len(out), memory.PageSize-int(addr%memory.PageSize))
		got, err := space.Read(addr, chunk[:n])
		for i, c := range chunk[:got] {
			if c == 0 {
				return string(append(out, chunk[:i]...)), nil
			}
		}
		out = append(out, chunk[:got]...)
		if err != nil {
			return string(out), err
		}
		addr += uint64(n)
	}
	return string(out), nil
}

func (o Object) fail(err error) Object {
	o.err = err
	return o
}

// maxList bounds list walks: 2^24 entries are more than any system holds.
const maxList = 1 << 24

// ListEntries walks the LIST_ENTRY at head and yields the structures of type t
// that hold it at the member link. Entries are yielded until the list closes.
// One that cannot be followed to its end is walked from the end, too, so that a
// single page that is missing does not hide what lies behind it; one last pair
// has the error then.
func ListEntries(head Object, t *Type, link string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		stop := func(err error) { yield(Object{}, fmt.Errorf("list %#x: %w", head.addr, err)) }
		if err := head.Err(); err != nil {
			stop(err)
			return
		}
		field := NewObject(head.space, t, 0).Field(link)
		if field.err != nil {
			stop(field.err)
			return
		}
		seen := map[uint64]bool{head.addr: true}
		for at := head.addr; ; {
			next, err := memory.ReadUint(head.space, at, int(head.pointerSize()))
			if err == nil && next == head.addr {
				return
			}
			if err == nil {
				err = badLink(next, seen)
			}
			if err != nil {
				for _, e := range head.entriesFromEnd(seen) {
					if !yield(NewObject(head.space, t, e-field.addr), nil) {
						return
					}
				}
				stop(err)
				return
			}
			seen[next] = true
			if !yield(NewObject(head.space, t, next-field.addr), nil) {
				return
			}
			at = next
		}
	}
}

// badLink says why a list does not go on at next.
func badLink(next uint64, seen map[uint64]bool) error {
	switch {
	case seen[next]:
		return fmt.Errorf("cycle at %#x after %d entries", next, len(seen)-1)
	case next == 0:
		return fmt.Errorf("null link after %d entries", len(seen)-1)
	case len(seen) > maxList:
		return fmt.Errorf("more than %d entries", maxList)
	}
	return nil
}

// entriesFromEnd follows the links back from a list's end, up to where it was
// broken, and returns what was not seen yet in the order of the list.
func (o Object) entriesFromEnd(seen map[uint64]bool) []uint64 {
	var found []uint64
	size := o.pointerSize()
	for at := o.addr; ; {
		back, err := memory.ReadUint(o.space, at+size, int(size))
		if err != nil || badLink(back, seen) != nil {
			slices.Reverse(found)
			return found
		}
		seen[back] = true
		found = append(found, back)
		at = back
	}
}

func (o Object) pointerSize() uint64 {
	if o.typ != nil {
		if f := o.typ.Field("Flink"); f != nil && f.Type != nil && f.Type.Size == 4 {
			return 4
		}
	}
	return 8
}
