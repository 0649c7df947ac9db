package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// Limits of the registry itself.
const (
	maxDepth   = 512 // levels of keys
	maxNode    = nodeHeader + 0xffff
	maxList    = listHeader + 8*0xffff
	maxSubKeys = 1 << 22
)

// A Key is a key of a hive.
type Key struct {
	Hive *Hive
	Cell Cell
	Addr uint64 // of the node: past the size of its cell
	Node
}

// Key reads the key at a cell.
func (h *Hive) Key(c Cell) (*Key, error) {
	b, addr, _, err := h.cell(c, maxNode)
	if err != nil && len(b) < nodeHeader {
		return nil, h.damage(c, addr, "key", err)
	}
	n, perr := parseNode(b)
	if perr != nil {
		return nil, h.damage(c, addr, "key", errors.Join(perr, err))
	}
	return &Key{Hive: h, Cell: c, Addr: addr, Node: n}, nil
}

// KeyAt reads the key whose node lies at addr. Its cell is NoCell, as an address
// does not tell it, but for the root of the hive.
func (h *Hive) KeyAt(addr uint64) (*Key, error) {
	n, err := h.reg.NodeAt(addr)
	if err != nil {
		return nil, err
	}
	k := &Key{Hive: h, Cell: NoCell, Addr: addr, Node: n}
	if n.Flags&KeyHiveEntry != 0 {
		if c, err := h.RootCell(); err == nil {
			k.Cell = c
		}
		return k, nil
	}
	return k, nil
}

// NodeAt reads the key node at addr.
func (r *Registry) NodeAt(addr uint64) (Node, error) {
	b, err := r.bytesAt(addr, maxNode)
	if err != nil {
		return Node{}, fmt.Errorf("key node %#x: %w", addr, err)
	}
	n, err := parseNode(b)
	if err != nil {
		return n, fmt.Errorf("key node %#x: %w", addr, err)
	}
	return n, nil
}

// bytesAt reads the content of the cell whose content lies at addr.
func (r *Registry) bytesAt(addr uint64, limit int) ([]byte, error) {
	raw, err := memory.ReadUint(r.space, addr-4, 4)
	if err != nil {
		return nil, err
	}
	n := -int64(int32(raw))
	if n < 8 || n%8 != 0 {
		return nil, fmt.Errorf("%#x before it is no size of a cell", uint32(raw))
	}
	b, err := memory.ReadBytes(r.space, addr, int(min(n-4, int64(limit))))
	if len(b) > 0 {
		err = nil // the parsers say when it is too little
	}
	return b, err
}

// Exit returns the key of another hive that a hive exit leads to.
func (k *Key) Exit() (*Key, error) {
	ref := k.Hive.reg.sys.Struct("_CM_KEY_NODE", k.Addr).In(k.Hive.reg.space).Field("ChildHiveReference")
	cell, err := ref.Field("KeyCell").Uint()
	addr, aerr := ref.Field("KeyHive").Uint()
	if err := errors.Join(err, aerr); err != nil {
		return nil, k.damage("hive exit", err)
	}
	h, ok := k.Hive.reg.known(addr)
	if !ok {
		return nil, k.damage("hive exit", fmt.Errorf("%#x is no hive", addr))
	}
	return h.Key(Cell(cell))
}

// Class returns the class name, "" for a key without one.
func (k *Key) Class() (string, error) {
	if k.Node.Class == NoCell || k.ClassLength == 0 || k.Flags&KeyHiveExit != 0 {
		return "", nil
	}
	b, addr, _, err := k.Hive.cell(k.Node.Class, int(k.ClassLength))
	if err == nil && len(b) < int(k.ClassLength) {
		err = fmt.Errorf("%d bytes do not fit into the cell's %d", k.ClassLength, len(b))
	}
	if err != nil {
		err = k.Hive.damage(k.Node.Class, addr, "class name", err)
	}
	return types.UTF16(b), err
}

// SubKeys yields the sub keys, the stable ones first.
func (k *Key) SubKeys(ctx context.Context) iter.Seq2[*Key, error] {
	return func(yield func(*Key, error) bool) {
		for _, s := range []Storage{Stable, Volatile} {
			for sub, err := range k.SubKeysIn(ctx, s) {
				if !yield(sub, err) {
					return
				}
			}
		}
	}
}

// SubKeysIn yields the sub keys of one storage in the order of their list. A
// sub key or list that cannot be read gives an error in its place. A hive exit
// has none; its keys are those of Exit.
func (k *Key) SubKeysIn(ctx context.Context, s Storage) iter.Seq2[*Key, error] {
	return func(yield func(*Key, error) bool) {
		if k.Flags&KeyHiveExit != 0 || k.Counts[s] == 0 || k.Lists[s] == NoCell {
			return
		}
		w := subKeyWalk{key: k, ctx: ctx, yield: yield, lists: map[Cell]bool{}}
		w.list(k.Lists[s], true)
	}
}

type subKeyWalk struct {
	key   *Key
	ctx   context.Context
	yield func(*Key, error) bool
	lists map[Cell]bool
	count int
}

// list walks a list of sub keys and reports whether to go on.
func (w *subKeyWalk) list(c Cell, outer bool) bool {
	h := w.key.Hive
	b, addr, _, err := h.cell(c, maxList)
	if err != nil && len(b) < listHeader {
		return w.yield(nil, h.damage(c, addr, "list of sub keys", err))
	}
	cells, nested, perr := subKeyList(b)
	if nested && !outer {
		return w.yield(nil, h.damage(c, addr, "list of sub keys", errors.New("a list of lists in a list of lists")))
	}
	if w.lists[c] {
		return w.yield(nil, h.damage(c, addr, "list of sub keys", errors.New("it was there before")))
	}
	w.lists[c] = true
	for _, sub := range cells {
		if err := w.ctx.Err(); err != nil {
			w.yield(nil, err)
			return false
		}
		if nested {
			if !w.list(sub, false) {
				return false
			}
			continue
		}
		if w.count++; w.count > maxSubKeys {
			w.yield(nil, w.key.damage("list of sub keys", fmt.Errorf("more than %d sub keys", maxSubKeys)))
			return false
		}
		found, err := h.Key(sub)
		if !w.yield(found, err) {
			return false
		}
		if err == nil && w.key.Cell != NoCell && found.Parent != w.key.Cell && !w.yield(nil, found.damage("sub key",
			fmt.Errorf("its parent is cell %#x, it was found below cell %#x", uint32(found.Parent), uint32(w.key.Cell)))) {
			return false
		}
	}
	if perr = errors.Join(perr, err); perr != nil {
		return w.yield(nil, h.damage(c, addr, "list of sub keys", perr))
	}
	return true
}

// ParentKey returns the key above, nil for the root of a hive.
func (k *Key) ParentKey() (*Key, error) {
	if k.Flags&KeyHiveEntry != 0 {
		return nil, nil
	}
	if root, err := k.Hive.RootCell(); err == nil && root == k.Cell {
		return nil, nil
	}
	return k.Hive.Key(k.Parent)
}

// Path returns the key's path. With an error it is the part that is known.
func (k *Key) Path() (string, error) {
	var names []string
	at := k
	for depth := 0; ; depth++ {
		if depth > maxDepth {
			return strings.Join(names, `\`), k.damage("path", fmt.Errorf("more than %d parents", maxDepth))
		}
		up, err := at.ParentKey()
		if err != nil {
			names = append([]string{at.Name}, names...)
			return strings.Join(names, `\`), err
		}
		if up == nil {
			break
		}
		names = append([]string{at.Name}, names...)
		at = up
	}
	path := k.Hive.Path()
	if path == "" {
		path = at.Name
	}
	return strings.Join(append([]string{path}, names...), `\`), nil
}

func (k *Key) damage(what string, err error) error {
	return k.Hive.damage(k.Cell, k.Addr, what, err)
}
