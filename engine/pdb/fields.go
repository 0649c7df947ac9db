package pdb

import (
	"fmt"

	"kdap/engine/types"
)

// maxFieldLists bounds the records that one long field list is cut into. Each
// holds up to 64 KB; a type with a million members needs a thousand.
const maxFieldLists = 4096

// fillFields decodes a field list and those it continues in. What lies behind
// damage is left out.
func (f *File) fillFields(l *types.Lazy, list uint32) {
	seen := map[uint32]bool{}
	for list != 0 && !seen[list] && len(seen) < maxFieldLists {
		seen[list] = true
		leaf, body, err := f.tpi.record(list)
		if err != nil || leaf != lfFieldList {
			return
		}
		list, _ = f.fieldList(l, body, list)
	}
}

// fieldList decodes one record of members and returns the one that continues
// it, or 0.
func (f *File) fieldList(l *types.Lazy, body []byte, ti uint32) (next uint32, err error) {
	d := decoder{b: body, base: 4}
	for d.left() > 0 {
		// Members are aligned with bytes 0xf1…0xff, the low half the distance.
		if b := d.b[d.off]; b > 0xf0 {
			d.off += min(int(b&0x0f), d.left())
			continue
		}
		if d.left() < 2 {
			break
		}
		leaf := d.u16()
		switch leaf {
		case lfMember:
			d.u16() // attributes
			ti := d.u32()
			off := d.numeric()
			name := d.strz()
			if d.err == nil {
				l.Fields = append(l.Fields, types.Field{Name: name, Offset: off, Type: f.ResolvedType(ti)})
			}
		case lfStMember:
			d.u16()
			ti := d.u32()
			name := d.strz()
			if d.err == nil {
				l.Fields = append(l.Fields, types.Field{Name: name, Type: f.ResolvedType(ti), Static: true})
			}
		case lfBClass, lfBInterface:
			d.u16()
			ti := d.u32()
			off := d.numeric()
			if d.err == nil {
				t := f.ResolvedType(ti)
				l.Fields = append(l.Fields, types.Field{Name: t.Name, Offset: off, Type: t, Base: true})
			}
		case lfEnumerate:
			d.u16()
			v := d.numeric()
			name := d.strz()
			if d.err == nil {
				l.Enumerators = append(l.Enumerators, types.Enumerator{Name: name, Value: int64(v)})
			}
		case lfVFuncTab:
			d.u16()
			ti := d.u32()
			if d.err == nil {
				l.Fields = append(l.Fields, types.Field{Name: "__VFN_table", Type: f.TypeByIndex(ti)})
			}
		case lfVBClass, lfIVBClass:
			// Where a virtual base lies stands in the object's vbtable.
			d.u16()
			d.u32()
			d.u32()
			d.numeric()
			d.numeric()
		case lfMethod:
			d.u16()
			d.u32()
			d.rawz()
		case lfOneMethod:
			attrs := d.u16()
			d.u32()
			if p := attrs >> 2 & 7; p == 4 || p == 6 { // introduces a virtual function
				d.u32()
			}
			d.rawz()
		case lfNestType, lfNestTypeEx, lfMemberModify:
			d.u16()
			d.u32()
			d.rawz()
		case lfFriendFcn:
			d.u16()
			d.u32()
			d.rawz()
		case lfFriendCls:
			d.u16()
			d.u32()
		case lfVFuncOff:
			d.u16()
			d.u32()
			d.u32()
		case lfIndex:
			d.u16()
			next = d.u32()
			return next, d.err
		default:
			d.off -= 2
			d.fail("unknown member leaf %#x", leaf)
		}
		if d.err != nil {
			if e, ok := d.err.(*FormatError); ok {
				e.Record = fmt.Sprintf("LF_FIELDLIST, type %#x,", ti)
			}
			return 0, d.err
		}
	}
	return 0, d.err
}
