package windows

import (
	"errors"
	"fmt"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A KernelObject is a view over an object of the object manager: the body at
// an address, and the _OBJECT_HEADER before it.
type KernelObject struct {
	sys    *System
	body   uint64
	header types.Object
}

// ObjectAt returns the object whose body lies at addr. Whether there is one
// its TypeName tells.
func (s *System) ObjectAt(addr uint64) KernelObject {
	t, err := s.Type("_OBJECT_HEADER")
	if err != nil {
		return KernelObject{sys: s, body: addr, header: types.Failed(err)}
	}
	body := t.Field("Body")
	if body == nil {
		return KernelObject{sys: s, body: addr, header: types.Failed(&types.NoFieldError{Type: t.Name, Field: "Body"})}
	}
	return KernelObject{sys: s, body: addr, header: s.Struct("_OBJECT_HEADER", addr-body.Offset)}
}

// Addr returns the address of the body.
func (o KernelObject) Addr() uint64 { return o.body }

// Header returns the _OBJECT_HEADER.
func (o KernelObject) Header() types.Object { return o.header }

// maxObjectTypes is the size of nt!ObTypeIndexTable: the index is a byte.
const maxObjectTypes = 256

// TypeName returns the name of the object's type ("Event"). Since Windows 10
// the index in the header is exclusive-ored with the second byte of the
// header's address and nt!ObHeaderCookie.
func (o KernelObject) TypeName() (string, error) {
	index, err := o.header.Field("TypeIndex").Uint()
	if err != nil {
		return "", err
	}
	cookie, encoded, err := o.sys.headerCookie()
	if err != nil {
		return "", err
	}
	if encoded {
		index ^= cookie ^ o.header.Addr()>>8&0xff
	}
	return o.sys.objectTypeName(index)
}

func (s *System) objectTypeName(index uint64) (string, error) {
	if name, ok := s.objectTypes.Load(index); ok {
		return name.(string), nil
	}
	table, err := s.Symbol("ObTypeIndexTable")
	if err != nil {
		return "", err
	}
	// The first two entries are not types: null and a marker.
	if index < 2 || index >= maxObjectTypes {
		return "", fmt.Errorf("object type index %d", index)
	}
	ptr, err := memory.ReadUint(s.Kernel(), table+8*index, 8)
	if err != nil {
		return "", err
	}
	t := s.Struct("_OBJECT_TYPE", ptr)
	// The type says its own index: a check against reading garbage.
	if self, err := t.Field("Index").Uint(); err != nil || self != index {
		return "", errors.Join(fmt.Errorf("no object type with index %d", index), err)
	}
	name, err := t.Field("Name").UnicodeString()
	if err == nil {
		s.objectTypes.Store(index, name)
	}
	return name, err
}

// Bits of _OBJECT_HEADER.InfoMask, in the order in which the optional headers
// lie before the object header, nearest first.
const (
	infoCreator = 1 << iota
	infoName
)

// Name returns the name the object has in its directory, "" when it has none.
func (o KernelObject) Name() (string, error) {
	mask, err := o.header.Field("InfoMask").Uint()
	if err != nil || mask&infoName == 0 {
		return "", err
	}
	t, err := o.sys.Type("_OBJECT_HEADER_NAME_INFO")
	if err != nil {
		return "", err
	}
	off := t.Size
	if mask&infoCreator != 0 {
		c, err := o.sys.Type("_OBJECT_HEADER_CREATOR_INFO")
		if err != nil {
			return "", err
		}
		off += c.Size
	}
	return o.sys.Struct("_OBJECT_HEADER_NAME_INFO", o.header.Addr()-off).Field("Name").UnicodeString()
}
