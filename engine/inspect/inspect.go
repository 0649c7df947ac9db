// Package inspect shows typed values as trees, for views in which a person
// opens one value after the other: structures by their members, arrays by
// their elements, pointers by what they point at, lists by what is on them.
//
// Texts follow the dt command (numbers, enumerators, strings, the head values
// of lists and strings); what cannot be read says why in place of a value.
// Nothing is read before it is asked for: a Node is one line, its children are
// made when they are wanted, a page at a time.
package inspect

import (
	"context"

	"kdap/engine/types"
)

// A Node is one line of a tree.
type Node struct {
	Name string
	Text string // the value, or why there is none
	Type string

	// Addr is where the value lies, in Space's process; 0 when it is not in memory.
	Addr uint64
	// Target is where a pointer leads to, 0 for other values.
	Target uint64

	Unreadable bool   // Text is the reason
	Expr       string // C++ expression of the value, "" without one
	Kind       Kind

	children children
}

// A Kind tells a view how to draw a node.
type Kind string

// The kinds. Property is the usual one.
const (
	Property  Kind = "property"
	Data      Kind = "data"
	BaseClass Kind = "baseClass"
	Method    Kind = "method"
	Virtual   Kind = "virtual" // made by the view: an element of a list, a group
)

// children makes the lines below a node.
type children interface {
	// size returns how many there are: members and elements.
	size(ctx context.Context) (named, indexed int)
	// page returns count of them from start on, of one sort.
	page(ctx context.Context, indexed bool, start, count int) ([]Node, error)
}

// Size returns the number of members and of elements below the node; 0 and 0
// for a leaf.
func (n Node) Size(ctx context.Context) (named, indexed int) {
	if n.children == nil {
		return 0, 0
	}
	return n.children.size(ctx)
}

// Children returns the lines below the node: members first, then elements.
// start counts within the sort chosen, or over both when filter is Both.
func (n Node) Children(ctx context.Context, filter Filter, start, count int) ([]Node, error) {
	if n.children == nil {
		return nil, nil
	}
	named, indexed := n.children.size(ctx)
	if start < 0 {
		start = 0
	}
	if count <= 0 || count > MaxPage {
		count = MaxPage
	}
	var out []Node
	if filter != Indexed && start < named {
		more, err := n.children.page(ctx, false, start, min(named-start, count))
		if err != nil {
			return nil, err
		}
		out = more
	}
	if filter == Named {
		return out, nil
	}
	from := start
	if filter == Both {
		from = max(0, start-named)
	}
	if rest := min(indexed-from, count-len(out)); rest > 0 {
		more, err := n.children.page(ctx, true, from, rest)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// MaxPage is how many lines Children returns at most.
const MaxPage = 5000

// A Filter chooses between members and elements.
type Filter string

// The filters.
const (
	Both    Filter = ""
	Named   Filter = "named"
	Indexed Filter = "indexed"
)

// A Viewer makes nodes of objects.
type Viewer struct {
	// Symbol names an address of the space the objects lie in; "" for none.
	Symbol func(ctx context.Context, va uint64) string
	// Kernel finds kernel types by name, for lists whose elements they are. It may be nil.
	Kernel func(name string) (*types.Type, error)
}

// A fixed is a list of nodes that exist already.
type fixed []Node

func (f fixed) size(context.Context) (int, int) { return len(f), 0 }

func (f fixed) page(_ context.Context, indexed bool, start, count int) ([]Node, error) {
	if indexed || start >= len(f) {
		return nil, nil
	}
	return f[start:min(len(f), start+count)], nil
}

// Group returns a node over nodes.
func Group(name, text string, nodes []Node) Node {
	return Node{Name: name, Text: text, Kind: Virtual, children: fixed(nodes)}
}
