package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/memory"
)

func listWalkCommands() []*Command {
	return []*Command{
		{Names: []string{"!dflink"}, Args: "Address [Count [Bias]]", Short: "show the nodes of a linked list, forward", Run: linkWalk(0)},
		{Names: []string{"!dblink"}, Args: "Address [Count [Bias]]", Short: "show the nodes of a linked list, backward", Run: linkWalk(pointerSize)},
		{Names: []string{"!slist"}, Args: "Address [Type [Offset]]", Short: "show a singly linked list with its header", Run: runSList},
		{Names: []string{"!rtlavl"}, Args: "Address [Type]", Short: "show the elements of an RTL_AVL_TABLE in their order", Run: runAVL},
		{Names: []string{"!gentable"}, Args: "Address [Type]", Short: "show the elements of an RTL_GENERIC_TABLE in their order", Run: runGenericTable},
	}
}

// linkRow is how many dwords a row of !dflink has.
const linkRow = 4

// defaultLinks is how many nodes !dflink shows that is given no count.
const defaultLinks = 32

// linkWalk shows list nodes by the pointer at an offset in each.
func linkWalk(link uint64) func(context.Context, *Session, *Call) error {
	return func(ctx context.Context, s *Session, c *Call) error {
		head, err := s.extensionNumber(c)
		if err != nil {
			return err
		}
		count, bias := uint64(defaultLinks), uint64(0)
		for _, v := range []*uint64{&count, &bias} {
			if !c.Args.Done() {
				if *v, err = s.extensionNumber(c); err != nil {
					return err
				}
			}
		}
		at := head
		seen := map[uint64]bool{}
		for n := uint64(0); n < min(count, maxListElements); n++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			next, err := memory.ReadUint(s.space(), at+link, pointerSize)
			if err != nil {
				return s.failure(err, fmt.Sprintf("Cannot read the link at %016x", at+link))
			}
			if next == head || next == 0 || seen[next] {
				return nil
			}
			seen[next] = true
			s.dwordRow(next - bias)
			at = next
		}
		return nil
	}
}

// dwordRow shows the dwords at an address in one row.
func (s *Session) dwordRow(va uint64) {
	s.printf("%016x ", va)
	for i := range uint64(linkRow) {
		v, err := memory.ReadUint(s.space(), va+4*i, 4)
		if err != nil {
			s.printf(" ????????")
			continue
		}
		s.printf(" %08x", v)
	}
	s.printf("\n")
}

// An SLIST_HEADER of 64-bit Windows has 16 bytes (winnt.h, HeaderX64): 16 bits
// of depth, 48 of sequence, then 4 bits and the upper 60 of the first entry.
const sListHeaderSize = 16

func runSList(ctx context.Context, s *Session, c *Call) error {
	head, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	typeName := c.Word()
	offset, err := s.extensionNumberOr(c, 0)
	if err != nil {
		return err
	}
	b, err := memory.ReadBytes(s.space(), head, sListHeaderSize)
	if err != nil {
		return s.failure(err, fmt.Sprintf("Cannot read the list header at %016x", head))
	}
	low, high := le64(b), le64(b[8:])
	first := high &^ 0xf
	s.printf("SLIST HEADER:\n   +0x000 Alignment          : %x\n   +0x008 Region             : %x\n", low, high)
	s.printf("   +0x000 Depth              : %x\n   +0x000 Sequence           : %x\n   +0x008 NextEntry          : %x\n\nSLIST CONTENTS:\n", low&0xffff, low>>16, first)
	seen := map[uint64]bool{}
	for at := first; at != 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if seen[at] || len(seen) >= maxListElements {
			return Failf("The list does not end after %d entries", len(seen))
		}
		seen[at] = true
		if err := s.showElement(ctx, at-offset, typeName); err != nil {
			return err
		}
		if at, err = memory.ReadUint(s.space(), at, pointerSize); err != nil {
			return s.failure(err, fmt.Sprintf("Cannot read the link after %d entries", len(seen)))
		}
	}
	return nil
}

// showElement shows the dwords of an element, or dt's view of it.
func (s *Session) showElement(ctx context.Context, va uint64, typeName string) error {
	s.dwordRow(va)
	if typeName == "" {
		return nil
	}
	return s.runText(ctx, fmt.Sprintf("dt %s 0x%x", strings.ReplaceAll(typeName, ";", ""), va), 0)
}

// A treeLayout is a table's tree as the kernel's documented headers have it:
// where its root hangs, and where an element's links and data lie.
type treeLayout struct {
	root, count       uint64
	left, right, data uint64
}

var (
	// RTL_AVL_TABLE: BalancedRoot, whose right child is the tree, and
	// NumberGenericTableElements; elements begin with RTL_BALANCED_LINKS.
	avlLayout = treeLayout{root: 0x10, count: 0x2c, left: 0x8, right: 0x10, data: 0x20}
	// RTL_GENERIC_TABLE: TableRoot; elements begin with RTL_SPLAY_LINKS and the
	// list entry of their order of insertion.
	genericLayout = treeLayout{root: 0, count: 0x24, left: 0x8, right: 0x10, data: 0x28}
)

func runAVL(ctx context.Context, s *Session, c *Call) error { return s.showTree(ctx, c, avlLayout) }

func runGenericTable(ctx context.Context, s *Session, c *Call) error {
	return s.showTree(ctx, c, genericLayout)
}

func (s *Session) showTree(ctx context.Context, c *Call, l treeLayout) error {
	table, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	typeName := c.Word()
	root, err := memory.ReadUint(s.space(), table+l.root, pointerSize)
	count, cerr := memory.ReadUint(s.space(), table+l.count, 4)
	if err != nil || cerr != nil {
		return s.failure(err, fmt.Sprintf("Cannot read the table at %016x", table))
	}
	s.printf("%d elements\n", count)
	// In order without recursion: a broken tree is as deep as it likes.
	var path []uint64
	seen := map[uint64]bool{}
	shown := uint64(0)
	for at := root; at != 0 || len(path) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		for at != 0 {
			if seen[at] || len(seen) >= maxListElements {
				return Failf("The tree comes back to %016x after %d elements", at, shown)
			}
			seen[at] = true
			path = append(path, at)
			if at, err = memory.ReadUint(s.space(), at+l.left, pointerSize); err != nil {
				return s.failure(err, fmt.Sprintf("Cannot read the tree after %d elements", shown))
			}
		}
		at = path[len(path)-1]
		path = path[:len(path)-1]
		if err := s.showElement(ctx, at+l.data, typeName); err != nil {
			return err
		}
		shown++
		if at, err = memory.ReadUint(s.space(), at+l.right, pointerSize); err != nil {
			return s.failure(err, fmt.Sprintf("Cannot read the tree after %d elements", shown))
		}
	}
	if shown != count {
		s.notef("the table counts %d elements, its tree has %d", count, shown)
	}
	return nil
}
