package inspect

import (
	"context"
	"fmt"

	"kdap/engine/types"
)

// A listHead is a LIST_ENTRY member that is the head of a list: what is on it,
// and by which member.
type listHead struct{ in, field, elem, link string }

// listHeads are the heads that can be reached from processes, threads and
// PEBs. Names are those of the kernel's public types, unchanged since Windows 7.
var listHeads = []listHead{
	{"_EPROCESS", "ThreadListHead", "_ETHREAD", "ThreadListEntry"},
	{"_KPROCESS", "ThreadListHead", "_KTHREAD", "ThreadListEntry"},
	{"_KPROCESS", "ReadyListHead", "_KTHREAD", "WaitListEntry"},
	{"_ETHREAD", "IrpList", "_IRP", "ThreadListEntry"},
	{"_KTHREAD", "MutantListHead", "_KMUTANT", "MutantListEntry"},
	{"_PEB_LDR_DATA", "InLoadOrderModuleList", "_LDR_DATA_TABLE_ENTRY", "InLoadOrderLinks"},
	{"_PEB_LDR_DATA", "InMemoryOrderModuleList", "_LDR_DATA_TABLE_ENTRY", "InMemoryOrderLinks"},
	{"_PEB_LDR_DATA", "InInitializationOrderModuleList", "_LDR_DATA_TABLE_ENTRY", "InInitializationOrderLinks"},
}

// head returns the elements of the list whose head is a member, if it is one.
func (v *Viewer) head(in *types.Type, field string) (elem *types.Type, link string, ok bool) {
	if v == nil || v.Kernel == nil {
		return nil, "", false
	}
	for _, l := range listHeads {
		if l.in != in.Name || l.field != field {
			continue
		}
		t, err := v.Kernel(l.elem)
		if err != nil || !t.Has(l.link) {
			return nil, "", false
		}
		return t, l.link, true
	}
	return nil, "", false
}

// list shows a list head: its two links, then what is on the list.
type list struct {
	v    *Viewer
	head types.Object
	elem *types.Type
	link string
}

// maxListed bounds what one list shows.
const maxListed = 10000

func (l *list) size(ctx context.Context) (int, int) {
	n := 0
	for _, err := range types.ListEntries(l.head, l.elem, l.link) {
		if err != nil || ctx.Err() != nil || n == maxListed {
			break
		}
		n++
	}
	return 2, n
}

func (l *list) page(ctx context.Context, indexed bool, start, count int) ([]Node, error) {
	if !indexed {
		return (&members{l.v, l.head, ""}).page(ctx, false, start, count)
	}
	var out []Node
	i := 0
	for o, err := range types.ListEntries(l.head, l.elem, l.link) {
		if err != nil || i >= start+count || i == maxListed {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i >= start {
			n := l.v.Object(ctx, fmt.Sprintf("[%d]", i), fmt.Sprintf("*(%s *)%#x", l.elem.Name, o.Addr()), o)
			n.Text, n.Kind = pointer(o.Addr(), 8), Virtual
			out = append(out, n)
		}
		i++
	}
	return out, nil
}
