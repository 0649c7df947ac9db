// Package inspect shows values of the data model as trees, for views in which a
// person opens one value after the other: structures by their members, arrays
// by their elements, pointers by what they point at, lists by what is on them,
// the debugger's objects by what dx shows of them.
//
// Values, names, types and their order are those of package model: dx and a
// tree show the same. A tree adds what one line in it needs: the head values of
// strings and lists as dt has them where dx shows nothing, the reason in place
// of a value that cannot be read, an expression that gives the value again, and
// pages. Nothing is read before it is asked for: a Node is one line, its
// children are made when they are wanted.
package inspect

import (
	"context"
	"fmt"
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
	Expr       string // expression of the value for dx and ??, "" without one
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
	// size returns how many there are: members and elements. Elements that
	// would have to be walked to be counted are unknown.
	size(ctx context.Context) (named, indexed int)
	// page returns count of them from start on, of one sort, and whether there
	// are more.
	page(ctx context.Context, indexed bool, start, count int) (nodes []Node, more bool, err error)
}

// unknown is the number of elements of what is walked.
const unknown = -1

// Open reports whether there may be lines below the node.
func (n Node) Open() bool { return n.children != nil }

// Below is what opening a node needs of it: a line that has been shown needs
// its texts no more.
type Below struct{ children children }

// Below returns what opening the node needs.
func (n Node) Below() Below { return Below{n.children} }

// Size returns the number of members and of elements below the node; 0 and 0
// for a leaf, and where elements would have to be walked to be counted.
func (n Node) Size(ctx context.Context) (named, indexed int) {
	if n.children == nil {
		return 0, 0
	}
	if named, indexed = n.children.size(ctx); indexed == unknown {
		return 0, 0
	}
	return named, indexed
}

// Children returns the lines below the node: members first, then elements.
// start counts within the sort chosen, or over both when filter is Both.
// Without a count they are those of one page; where more follow, a last line
// opens them.
func (n Node) Children(ctx context.Context, filter Filter, start, count int) ([]Node, error) {
	return n.Below().Children(ctx, filter, start, count)
}

// Children returns the lines, as those of the node.
func (n Below) Children(ctx context.Context, filter Filter, start, count int) ([]Node, error) {
	if n.children == nil {
		return nil, nil
	}
	named, indexed := n.children.size(ctx)
	start = max(start, 0)
	all := count <= 0
	if all {
		count = MaxPage
		if indexed == unknown {
			count = maxWalked + named
		}
	}
	count = min(count, MaxPage)
	var out []Node
	if filter != Indexed && start < named {
		more, _, err := n.children.page(ctx, false, start, min(named-start, count))
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
	rest := count - len(out)
	if indexed != unknown {
		rest = min(rest, indexed-from)
	}
	if rest <= 0 {
		return out, nil
	}
	nodes, more, err := n.children.page(ctx, true, from, rest)
	if err != nil {
		return nil, err
	}
	if out = append(out, nodes...); all && more {
		out = append(out, Node{Name: "[...]", Text: left(indexed, from+len(nodes)), Kind: Virtual, children: rear{n.children, from + len(nodes)}})
	}
	return out, nil
}

// left tells how much was not shown.
func left(indexed, shown int) string {
	if indexed == unknown {
		return ""
	}
	return fmt.Sprintf("%d more", indexed-shown)
}

// MaxPage is how many lines Children returns at most, maxWalked how many
// elements it walks when it was not told how many are wanted.
const (
	MaxPage   = 5000
	maxWalked = 100
)

// A Filter chooses between members and elements.
type Filter string

// The filters.
const (
	Both    Filter = ""
	Named   Filter = "named"
	Indexed Filter = "indexed"
)

// rear are the elements from one on.
type rear struct {
	children
	from int
}

func (r rear) size(ctx context.Context) (int, int) {
	_, indexed := r.children.size(ctx)
	if indexed == unknown {
		return 0, unknown
	}
	return 0, max(0, indexed-r.from)
}

func (r rear) page(ctx context.Context, indexed bool, start, count int) ([]Node, bool, error) {
	if !indexed {
		return nil, false, nil
	}
	return r.children.page(ctx, true, r.from+start, count)
}

// A fixed is a list of nodes that exist already.
type fixed []Node

func (f fixed) size(context.Context) (int, int) { return len(f), 0 }

func (f fixed) page(_ context.Context, indexed bool, start, count int) ([]Node, bool, error) {
	if indexed || start >= len(f) {
		return nil, false, nil
	}
	end := min(len(f), start+count)
	return f[start:end], end < len(f), nil
}

// Group returns a node over nodes.
func Group(name, text string, nodes []Node) Node {
	return Node{Name: name, Text: text, Kind: Virtual, children: fixed(nodes)}
}

// Lazily returns a node over nodes that are made when they are asked for.
func Lazily(name string, nodes func(ctx context.Context) ([]Node, error)) Node {
	return Node{Name: name, Kind: Virtual, children: later(nodes)}
}

// Anew returns a node over count nodes that are made each time it is opened:
// kept open it holds none of them.
func Anew(name, text string, count int, nodes func(ctx context.Context) ([]Node, error)) Node {
	return Node{Name: name, Text: text, Kind: Virtual, children: &anew{count, nodes}}
}

// anew are nodes whose number is known before they are made.
type anew struct {
	count int
	nodes func(ctx context.Context) ([]Node, error)
}

func (a *anew) size(context.Context) (int, int) { return a.count, 0 }

func (a *anew) page(ctx context.Context, indexed bool, start, count int) ([]Node, bool, error) {
	nodes, err := a.nodes(ctx)
	if err != nil {
		return nil, false, err
	}
	return fixed(nodes).page(ctx, indexed, start, count)
}

// later are nodes whose number is not known before they are made.
type later func(ctx context.Context) ([]Node, error)

func (later) size(context.Context) (int, int) { return 0, unknown }

func (l later) page(ctx context.Context, indexed bool, start, count int) ([]Node, bool, error) {
	nodes, err := l(ctx)
	if err != nil || !indexed || start >= len(nodes) {
		return nil, false, err
	}
	end := min(len(nodes), start+count)
	return nodes[start:end], end < len(nodes), nil
}
