package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/model"
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

// listAt returns what is on the list or tree that begins at a member, nil for
// members that are no heads and for other values.
func (v *Viewer) listAt(val model.Value, expression string) children {
	at, ok := val.(model.Native)
	if !ok || !at.Located || v.Kernel == nil {
		return nil
	}
	in, field := at.Member()
	if in == nil {
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
		head := types.NewObject(at.Space, at.Type, at.Addr)
		own := &parts{v, at, expression, model.Spec{}}
		if l.tree {
			return &list{v, own, t, treeNodes(head, t, l.link)}
		}
		return &list{v, own, t, types.ListEntries(head, t, l.link)}
	}
	return nil
}

// list shows the head of a list or tree: its own members, then what is on it,
// as pointers.
type list struct {
	v    *Viewer
	own  *parts
	elem *types.Type
	all  iter.Seq2[types.Object, error]
}

// maxListed bounds what one list shows.
const maxListed = 10000

func (l *list) size(ctx context.Context) (int, int) {
	named, _ := l.own.size(ctx)
	return named, unknown
}

func (l *list) page(ctx context.Context, indexed bool, start, count int) ([]Node, bool, error) {
	if !indexed {
		return l.own.page(ctx, false, start, count)
	}
	var out []Node
	i := 0
	for o, err := range l.all {
		name := fmt.Sprintf("[%d]", i)
		switch {
		case ctx.Err() != nil:
			return nil, false, ctx.Err()
		case err != nil:
			return append(out, Failed(name, "", err)), false, nil
		case i == maxListed:
			return append(out, Failed(name, "", errors.New("the list goes on"))), false, nil
		case i == start+count:
			return out, true, nil
		}
		if i >= start {
			n := l.v.Value(ctx, name, fmt.Sprintf("(nt!%s *)%#x", l.elem.Name, o.Addr()),
				model.NativeValue(o.Space(), model.PointerTo(l.elem), o.Addr()))
			n.Kind = Virtual
			out = append(out, n)
		}
		i++
	}
	return out, false, nil
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
			left, err := o.FirstField(link+".Left", link+".LeftChild", "LeftChild").Uint()
			if err != nil {
				return yield(types.Object{}, err)
			}
			right, err := o.FirstField(link+".Right", link+".RightChild", "RightChild").Uint()
			if err != nil {
				return yield(types.Object{}, err)
			}
			return walk(left, depth+1) && yield(o, nil) && walk(right, depth+1)
		}
		walk(at, 0)
	}
}
