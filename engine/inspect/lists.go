package inspect

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// A listHead is a member that is the head of a list (LIST_ENTRY) or the root of
// a tree (RTL_AVL_TREE): what is on it, and by which member.
type listHead struct {
	in, field, elem, link string
	tree                  bool
}

// listHeads are the heads that can be reached from processes, threads and
// PEBs. Names are those of the kernel's public types, the lists' unchanged since
// Windows 7.
var listHeads = []listHead{
	{"_EPROCESS", "ThreadListHead", "_ETHREAD", "ThreadListEntry", false},
	{"_KPROCESS", "ThreadListHead", "_KTHREAD", "ThreadListEntry", false},
	{"_KPROCESS", "ReadyListHead", "_KTHREAD", "WaitListEntry", false},
	{"_ETHREAD", "IrpList", "_IRP", "ThreadListEntry", false},
	{"_KTHREAD", "MutantListHead", "_KMUTANT", "MutantListEntry", false},
	{"_PEB_LDR_DATA", "InLoadOrderModuleList", "_LDR_DATA_TABLE_ENTRY", "InLoadOrderLinks", false},
	{"_PEB_LDR_DATA", "InMemoryOrderModuleList", "_LDR_DATA_TABLE_ENTRY", "InMemoryOrderLinks", false},
	{"_PEB_LDR_DATA", "InInitializationOrderModuleList", "_LDR_DATA_TABLE_ENTRY", "InInitializationOrderLinks", false},
	{"_EPROCESS", "VadRoot", "_MMVAD_SHORT", "VadNode", true},
}

// head returns the elements of the list or tree that begins at a member, nil
// where it is none.
func (v *Viewer) head(in *types.Type, field string, at types.Object) children {
	if v == nil || v.Kernel == nil {
		return nil
	}
	for _, l := range listHeads {
		if l.in != in.Name || l.field != field {
			continue
		}
		t, err := v.Kernel(l.elem)
		if err != nil || !t.Has(l.link) {
			return nil
		}
		if l.tree {
			return &list{v, at, t, treeNodes(at, t, l.link)}
		}
		return &list{v, at, t, types.ListEntries(at, t, l.link)}
	}
	return nil
}

// list shows the head of a list or tree: its own members, then what is on it.
type list struct {
	v    *Viewer
	at   types.Object
	elem *types.Type
	all  iter.Seq2[types.Object, error]
}

// maxListed bounds what one list shows.
const maxListed = 10000

func (l *list) size(ctx context.Context) (int, int) {
	n := 0
	for _, err := range l.all {
		if err != nil || ctx.Err() != nil || n == maxListed {
			break
		}
		n++
	}
	named, _ := (&members{l.v, l.at, ""}).size(ctx)
	return named, n
}

func (l *list) page(ctx context.Context, indexed bool, start, count int) ([]Node, error) {
	if !indexed {
		return (&members{l.v, l.at, ""}).page(ctx, false, start, count)
	}
	var out []Node
	i := 0
	for o, err := range l.all {
		if err != nil || i >= start+count || i == maxListed {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i >= start {
			n := l.v.Object(ctx, fmt.Sprintf("[%d]", i), fmt.Sprintf("*(nt!%s *)%#x", l.elem.Name, o.Addr()), o)
			n.Text, n.Kind = pointer(o.Addr(), 8), Virtual
			out = append(out, n)
		}
		i++
	}
	return out, nil
}

// maxDepth bounds a tree: a balanced one of 2^24 nodes is not deeper.
const maxDepth = 40

// treeNodes yields the structures of type t on a balanced tree, in order. Trees
// of Windows 8.1 and later hang on Root, older ones on the right child of a
// node of their own. The low bits of links hold the balance.
func treeNodes(root types.Object, t *types.Type, link string) iter.Seq2[types.Object, error] {
	return func(yield func(types.Object, error) bool) {
		at, err := root.FirstField("Root", "BalancedRoot.RightChild").Uint()
		if err != nil {
			yield(types.Object{}, err)
			return
		}
		off := types.NewObject(root.Space(), t, 0).Field(link).Addr()
		seen := map[uint64]bool{}
		var walk func(at uint64, depth int) bool
		walk = func(at uint64, depth int) bool {
			if at &^= 7; at == 0 {
				return true
			}
			if seen[at] || depth == maxDepth {
				return yield(types.Object{}, fmt.Errorf("the tree is not one at %#x", at))
			}
			seen[at] = true
			o := root.At(at-off, t)
			left, err := o.FirstField(link+".Left", link+".LeftChild").Uint()
			if err != nil {
				return yield(types.Object{}, err)
			}
			right, err := o.FirstField(link+".Right", link+".RightChild").Uint()
			if err != nil {
				return yield(types.Object{}, err)
			}
			return walk(left, depth+1) && yield(o, nil) && walk(right, depth+1)
		}
		walk(at, 0)
	}
}
