package pdb

import "fmt"

// Leaves of type records.
const (
	lfVTShape    = 0x000a
	lfLabel      = 0x000e
	lfModifier   = 0x1001
	lfPointer    = 0x1002
	lfProcedure  = 0x1008
	lfMFunction  = 0x1009
	lfArgList    = 0x1201
	lfFieldList  = 0x1203
	lfBitField   = 0x1205
	lfMethodList = 0x1206
	lfArray      = 0x1503
	lfClass      = 0x1504
	lfStructure  = 0x1505
	lfUnion      = 0x1506
	lfEnum       = 0x1507
	lfAlias      = 0x150a
	lfInterface  = 0x1519
	lfVFTable    = 0x151d
	lfClass2     = 0x1608
	lfStructure2 = 0x1609
	lfUnion2     = 0x160a
	lfInterface2 = 0x160b
)

// Leaves inside field lists.
const (
	lfBClass       = 0x1400
	lfVBClass      = 0x1401
	lfIVBClass     = 0x1402
	lfIndex        = 0x1404
	lfVFuncTab     = 0x1409
	lfFriendCls    = 0x140a
	lfVFuncOff     = 0x140b
	lfFriendFcn    = 0x140c
	lfEnumerate    = 0x1502
	lfMember       = 0x150d
	lfStMember     = 0x150e
	lfMethod       = 0x150f
	lfNestType     = 0x1510
	lfOneMethod    = 0x1511
	lfNestTypeEx   = 0x1512
	lfMemberModify = 0x1513
	lfBInterface   = 0x151a
)

// Properties of aggregates and enums.
const (
	propForward = 0x0080
	propScoped  = 0x0100
	propUnique  = 0x0200
)

func isUDT(leaf uint16) bool {
	switch leaf {
	case lfClass, lfStructure, lfUnion, lfEnum, lfInterface, lfClass2, lfStructure2, lfUnion2, lfInterface2:
		return true
	}
	return false
}

// A udt is a decoded aggregate or enum record. Its names lie in the file's
// memory.
type udt struct {
	leaf       uint16
	count      uint32
	prop       uint32
	fields     uint32 // type index of the field list
	underlying uint32 // of an enum
	size       uint64
	name       []byte
	unique     []byte
}

func (u *udt) forward() bool { return u.prop&propForward != 0 }
func (u *udt) scoped() bool  { return u.prop&propScoped != 0 }

// anonymous reports whether the record is left out of the hash of names.
func (u *udt) anonymous() bool {
	n := string(u.name)
	for _, a := range [...]string{"<unnamed-tag>", "__unnamed"} {
		if n == a || len(n) > len(a)+2 && n[len(n)-len(a)-2:] == "::"+a {
			return true
		}
	}
	return false
}

// sort tells which kinds of records can declare and define the same type.
func (u *udt) sort() uint8 {
	switch u.leaf {
	case lfUnion, lfUnion2:
		return 1
	case lfEnum:
		return 2
	}
	return 0
}

func leafName(leaf uint16) string {
	switch leaf {
	case lfClass, lfClass2:
		return "LF_CLASS"
	case lfStructure, lfStructure2:
		return "LF_STRUCTURE"
	case lfUnion, lfUnion2:
		return "LF_UNION"
	case lfEnum:
		return "LF_ENUM"
	case lfFieldList:
		return "LF_FIELDLIST"
	case lfPointer:
		return "LF_POINTER"
	}
	return fmt.Sprintf("leaf %#x", leaf)
}

func typeDecoder(leaf uint16, body []byte, ti uint32) decoder {
	return decoder{record: fmt.Sprintf("%s, type %#x,", leafName(leaf), ti), b: body, base: 4}
}

func decodeUDT(leaf uint16, body []byte, ti uint32) (udt, error) {
	d := decoder{b: body, base: 4}
	u := udt{leaf: leaf}
	switch leaf {
	case lfClass, lfStructure, lfInterface:
		u.count, u.prop, u.fields = uint32(d.u16()), uint32(d.u16()), d.u32()
		d.u32() // derived from
		d.u32() // vtable shape
		u.size = d.numeric()
	case lfClass2, lfStructure2, lfInterface2:
		u.prop, u.fields = d.u32(), d.u32()
		d.u32()
		d.u32()
		u.count = uint32(d.numeric())
		u.size = d.numeric()
	case lfUnion:
		u.count, u.prop, u.fields = uint32(d.u16()), uint32(d.u16()), d.u32()
		u.size = d.numeric()
	case lfUnion2:
		u.prop, u.fields = d.u32(), d.u32()
		u.count = uint32(d.numeric())
		u.size = d.numeric()
	case lfEnum:
		u.count, u.prop = uint32(d.u16()), uint32(d.u16())
		u.underlying, u.fields = d.u32(), d.u32()
	}
	u.name = d.rawz()
	if u.prop&propUnique != 0 {
		u.unique = d.rawz()
	}
	if d.err != nil {
		e := d.err.(*FormatError)
		e.Record = typeDecoder(leaf, nil, ti).record
		return u, e
	}
	return u, nil
}
