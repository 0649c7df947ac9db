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
	off, err := s.objectBody()
	if err != nil {
		return KernelObject{sys: s, body: addr, header: types.Failed(err)}
	}
	return KernelObject{sys: s, body: addr, header: s.Struct("_OBJECT_HEADER", addr-off)}
}

// objectOfHeader returns the object whose _OBJECT_HEADER lies at addr.
func (s *System) objectOfHeader(addr uint64) KernelObject {
	off, err := s.objectBody()
	if err != nil {
		return KernelObject{sys: s, header: types.FailedAt(addr, err)}
	}
	return s.ObjectAt(addr + off)
}

// objectBody returns the distance from an object's header to its body.
func (s *System) objectBody() (uint64, error) {
	t, err := s.Type("_OBJECT_HEADER")
	if err != nil {
		return 0, err
	}
	body := t.Field("Body")
	if body == nil {
		return 0, &types.NoFieldError{Type: t.Name, Field: "Body"}
	}
	return body.Offset, nil
}

// Addr returns the address of the body.
func (o KernelObject) Addr() uint64 { return o.body }

// System returns the system the object belongs to.
func (o KernelObject) System() *System { return o.sys }

// Header returns the _OBJECT_HEADER.
func (o KernelObject) Header() types.Object { return o.header }

// PointerCount returns the number of references. Handles hold references in
// advance, so it is much larger than HandleCount.
func (o KernelObject) PointerCount() (int64, error) { return o.header.Field("PointerCount").Int() }

// HandleCount returns the number of open handles.
func (o KernelObject) HandleCount() (int64, error) { return o.header.Field("HandleCount").Int() }

// SecurityDescriptor returns the address of the object's security descriptor,
// 0 without one. The pointer is a fast reference: its low four bits count.
func (o KernelObject) SecurityDescriptor() (uint64, error) {
	v, err := o.header.Field("SecurityDescriptor").Uint()
	return v &^ 0xf, err
}

// maxObjectTypes is the size of nt!ObTypeIndexTable: the index is a byte.
const maxObjectTypes = 256

// TypeName returns the name of the object's type ("Event").
func (o KernelObject) TypeName() (string, error) {
	t, err := o.ObjectType()
	return t.Name, err
}

// An ObjectType is one type of the object manager.
type ObjectType struct {
	Addr uint64 // of the _OBJECT_TYPE
	Name string
}

// ObjectType returns the object's type. Since Windows 10 the index in the
// header is exclusive-ored with the second byte of the header's address and
// nt!ObHeaderCookie.
func (o KernelObject) ObjectType() (ObjectType, error) {
	index, err := o.header.Field("TypeIndex").Uint()
	if err != nil {
		return ObjectType{}, err
	}
	cookie, encoded, err := o.sys.headerCookie()
	if err != nil {
		return ObjectType{}, err
	}
	if encoded {
		index ^= cookie ^ o.header.Addr()>>8&0xff
	}
	return o.sys.objectType(index)
}

func (s *System) objectType(index uint64) (ObjectType, error) {
	if t, ok := s.objectTypes.Load(index); ok {
		return t.(ObjectType), nil
	}
	table, err := s.Symbol("ObTypeIndexTable")
	if err != nil {
		return ObjectType{}, err
	}
	// The first two entries are not types: null and a marker.
	if index < 2 || index >= maxObjectTypes {
		return ObjectType{}, fmt.Errorf("object type index %d", index)
	}
	ptr, err := memory.ReadUint(s.Kernel(), table+8*index, 8)
	if err != nil {
		return ObjectType{}, err
	}
	t := s.Struct("_OBJECT_TYPE", ptr)
	// The type says its own index: a check against reading garbage.
	if self, err := t.Field("Index").Uint(); err != nil || self != index {
		return ObjectType{}, errors.Join(fmt.Errorf("no object type with index %d", index), err)
	}
	name, err := t.Field("Name").UnicodeString()
	found := ObjectType{Addr: ptr, Name: name}
	if err == nil {
		s.objectTypes.Store(index, found)
	}
	return found, err
}

// optionalHeaders are the structures that may lie before an object's header,
// nearest first: bit i of InfoMask says that the i-th is there. Source: the
// order of nt!ObpInfoMaskToOffset, and the names of the public symbols.
var optionalHeaders = []string{
	"_OBJECT_HEADER_CREATOR_INFO", "_OBJECT_HEADER_NAME_INFO", "_OBJECT_HEADER_HANDLE_INFO",
	"_OBJECT_HEADER_QUOTA_INFO", "_OBJECT_HEADER_PROCESS_INFO", "_OBJECT_HEADER_AUDIT_INFO",
	"_OBJECT_HEADER_EXTENDED_INFO",
}

// OptionalHeaders returns the structures before the object's header, nearest first.
func (o KernelObject) OptionalHeaders() ([]types.Object, error) {
	mask, err := o.header.Field("InfoMask").Uint()
	if err != nil {
		return nil, err
	}
	var found []types.Object
	at := o.header.Addr()
	for i, name := range optionalHeaders {
		if mask>>i&1 == 0 {
			continue
		}
		t, err := o.sys.Type(name)
		if err != nil {
			return found, err
		}
		at -= t.Size
		found = append(found, o.sys.Struct(name, at))
	}
	return found, nil
}

// infoName is the bit of InfoMask for a name.
const infoName = 1 << 1

// nameInfo returns the _OBJECT_HEADER_NAME_INFO; false when the object has no name.
func (o KernelObject) nameInfo() (types.Object, bool, error) {
	mask, err := o.header.Field("InfoMask").Uint()
	if err != nil || mask&infoName == 0 {
		return types.Object{}, false, err
	}
	headers, err := o.OptionalHeaders()
	for _, h := range headers {
		if h.Type() != nil && h.Type().Name == "_OBJECT_HEADER_NAME_INFO" {
			return h, true, nil
		}
	}
	return types.Object{}, false, err
}

// Name returns the name the object has in its directory, "" when it has none.
func (o KernelObject) Name() (string, error) {
	info, ok, err := o.nameInfo()
	if err != nil || !ok {
		return "", err
	}
	return info.Field("Name").UnicodeString()
}

// Directory returns the address of the directory that holds the object's name,
// 0 when it is in none.
func (o KernelObject) Directory() (uint64, error) {
	info, ok, err := o.nameInfo()
	if err != nil || !ok {
		return 0, err
	}
	return info.Field("Directory").Uint()
}
