package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"kdap/engine/windows/heap"
)

const heapLine = "-------------------------------------------------------------------------------------"

// summary prints a row a heap.
func (h *heapCall) summary(ctx context.Context) error {
	for !h.c.Args.Done() { // -v, -b, -d, -a, -c add nothing to the rows
		if _, ok := h.c.Option(); !ok {
			break
		}
	}
	heaps, _, err := h.heaps(ctx)
	if err != nil {
		return err
	}
	var segment, nt []heap.Heap
	for p := range heaps {
		if p.Kind == heap.Segment {
			segment = append(segment, p)
		} else {
			nt = append(nt, p)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(segment) > 0 {
		h.segmentRows(ctx, segment)
	}
	if len(nt) > 0 || len(segment) == 0 {
		h.ntRows(ctx, nt)
	}
	return ctx.Err()
}

func (h *heapCall) banner(title string) {
	stars := strings.Repeat("*", 120)
	h.s.printf("\n\n%s\n%s%s\n%s\n", stars, strings.Repeat(" ", 46), title, stars)
}

// segmentRows prints segment heaps; the layout is ours.
func (h *heapCall) segmentRows(ctx context.Context, heaps []heap.Heap) {
	h.banner("SEGMENT HEAP STATS BELOW")
	h.s.printf("          Heap     Flags   Reserv  Commit   Free \n                            (k)     (k)     (k)  \n%s\n", heapLine)
	for _, p := range heaps {
		n, err := p.SegmentNumbers(ctx)
		if err != nil {
			h.s.notef("%v", err)
		}
		h.s.printf("%s %08x %7d %6d %6d\n", heapAddr(p, p.Address), n.Flags, n.Reserved>>10, n.Committed>>10, n.Free>>10)
	}
	h.s.printf("%s\n", heapLine)
}

func (h *heapCall) ntRows(ctx context.Context, heaps []heap.Heap) {
	h.banner("NT HEAP STATS BELOW")
	key, err := h.owner.LFHKey(ctx)
	if err != nil {
		h.s.notef("%v", err)
		h.s.printf("LFH Key                   : %s\n", notAccessible)
	} else {
		h.s.printf("LFH Key                   : 0x%016x\n", key)
	}
	// Windows ends every 64-bit process whose heap is corrupt; no program can
	// turn that off (HeapSetInformation, HeapEnableTerminationOnCorruption).
	h.s.printf("Termination on corruption : ENABLED\n")
	h.s.printf("          Heap     Flags   Reserv  Commit  Virt   Free  List   UCR  Virt  Lock  Fast \n")
	h.s.printf("                            (k)     (k)    (k)     (k) length      blocks cont. heap \n%s\n", heapLine)
	for _, p := range heaps {
		if ctx.Err() != nil {
			return
		}
		h.ntRow(ctx, p)
	}
	h.s.printf("%s\n", heapLine)
}

func (h *heapCall) ntRow(ctx context.Context, p heap.Heap) {
	n, err := p.Numbers()
	if err != nil {
		h.s.notef("%v", err)
		return
	}
	length, err := p.FreeList(ctx)
	if err != nil {
		h.s.notef("%v", err)
	}
	virtual := 0
	for v, err := range p.Virtual(ctx) {
		if err != nil {
			h.s.notef("%v", err)
		}
		if v.Address != 0 {
			virtual++
		}
	}
	fast := "   "
	if n.FrontEnd {
		fast = "LFH"
	}
	h.s.printf("%s %08x %7d %6d %6d %6d %5d %5d %4d %6x   %s\n", heapAddr(p, p.Address), n.Flags,
		n.Reserved>>10, n.Committed>>10, (n.Reserved-n.LargeUncommitted)>>10, n.TotalFree*p.Unit()>>10,
		length, n.UCRs, virtual, n.LockCollisions, fast)
}

// A sizeCount is how many blocks of one size a heap has.
type sizeCount struct{ size, blocks uint64 }

func (c sizeCount) total() uint64 { return c.size * c.blocks }

// stat prints how the busy blocks divide into sizes.
func (h *heapCall) stat(ctx context.Context) error {
	group, most := "S", uint64(20)
	which := uint64(0)
	for !h.c.Args.Done() {
		option, ok := h.c.Option()
		switch {
		case ok && option == "h":
			v, err := h.s.extensionNumber(h.c)
			if err != nil {
				return err
			}
			which = v
		case ok && option == "grp":
			group = strings.ToUpper(h.c.Word())
			if _, ok := statGroups[group]; !ok {
				return Failf("Invalid group-by %s", group)
			}
			if next := h.c.Peek(); next != "" && next[0] != '-' {
				v, err := h.s.extensionNumber(h.c)
				if err != nil {
					return err
				}
				most = v
			}
		default:
			return Failf("Invalid option %s", h.c.Word())
		}
	}
	if which != 0 {
		p, err := h.heap(ctx, which)
		if err != nil {
			return err
		}
		return h.statHeap(ctx, p, group, most)
	}
	for p, err := range h.owner.Heaps(ctx) {
		if err != nil {
			h.s.notef("%v", err)
			continue
		}
		if err := h.statHeap(ctx, p, group, most); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// statGroups are the orders of the rows by the option's letter.
var statGroups = map[string]struct {
	name string
	key  func(sizeCount) uint64
}{
	"S": {"TOTSIZE", sizeCount.total},
	"B": {"BLOCKCOUNT", func(c sizeCount) uint64 { return c.blocks }},
	"A": {"ALLOCATION SIZE", func(c sizeCount) uint64 { return c.size }},
}

func (h *heapCall) statHeap(ctx context.Context, p heap.Heap, group string, most uint64) error {
	h.s.printf(" heap @ %s\n", heapAddr(p, p.Address))
	counts := map[uint64]uint64{}
	var bytes uint64
	for b, err := range p.Blocks(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			h.s.notef("%v", err)
		}
		if b.Busy {
			counts[b.Size]++
			bytes += b.Size
		}
	}
	rows := make([]sizeCount, 0, len(counts))
	for size, n := range counts {
		rows = append(rows, sizeCount{size, n})
	}
	g := statGroups[group]
	slices.SortFunc(rows, func(a, b sizeCount) int {
		return cmp.Or(cmp.Compare(g.key(b), g.key(a)), cmp.Compare(b.size, a.size))
	})
	h.s.printf("group-by: %s max-display: %d\n", g.name, most)
	h.s.printf("    size     #blocks     total     ( %%) (percent of total busy bytes)\n")
	for i, r := range rows {
		if uint64(i) >= most {
			break
		}
		h.s.printf("    %x %x - %x  (%s)\n", r.size, r.blocks, r.total(), percent(r.total(), bytes))
	}
	return nil
}

// percent spells a share with two digits, cut off.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "0.00"
	}
	return fmt.Sprintf("%.2f", float64(part)*100/float64(whole))
}
