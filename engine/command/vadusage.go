package command

import (
	"context"
	"fmt"

	"kdap/engine/windows"
	"kdap/engine/windows/heap"
)

// addressUse is what a range of a process is for.
type addressUse struct {
	name string
	more []string // commands that tell more
}

// A placedUse is a use with where it was found: a block of the process's own,
// or (end 0) one address of the range.
type placedUse struct {
	start, end uint64
	addressUse
}

// addressUses are the uses of a process's addresses that its own structures
// tell, the PEB and TEBs first.
type addressUses []placedUse

// Sizes of the blocks that a range holds several of, rounded up to pages.
const (
	pebSize = 0x1000
	tebSize = 0x2000
)

func (s *Session) addressUses(ctx context.Context, p windows.Process) addressUses {
	var blocks, ranges addressUses
	if peb, err := p.PEB(); err == nil && peb != 0 {
		blocks = append(blocks, placedUse{peb, peb + pebSize, addressUse{"PEB", []string{fmt.Sprintf("!peb %x", peb)}}})
	}
	for t, err := range p.Threads(ctx) {
		if err != nil {
			break
		}
		teb, err := t.Block()
		if err != nil {
			continue
		}
		blocks = append(blocks, placedUse{teb.Addr(), teb.Addr() + tebSize, addressUse{"TEB", []string{fmt.Sprintf("!teb %x", teb.Addr())}}})
		if base, err := teb.Field("NtTib.StackBase").Uint(); err == nil && base != 0 {
			tid, _ := t.TID()
			ranges = append(ranges, placedUse{base - 1, 0, addressUse{"Stack", []string{fmt.Sprintf("~~[%x]k", tid)}}})
		}
	}
	return append(append(blocks, ranges...), s.heapUses(ctx, p)...)
}

func (s *Session) heapUses(ctx context.Context, p windows.Process) (uses addressUses) {
	owner, err := heap.Of(p)
	if err != nil {
		return nil
	}
	for h, err := range owner.Heaps(ctx) {
		if err != nil {
			continue
		}
		use := addressUse{"Heap", []string{fmt.Sprintf("!heap -a %x", h.Address)}}
		uses = append(uses, placedUse{h.Address, 0, use})
		if h.Kind == heap.Segment {
			continue
		}
		for seg, err := range h.Segments(ctx) {
			if err != nil {
				break
			}
			uses = append(uses, placedUse{seg.Base, 0, use})
		}
	}
	return uses
}

// of tells what an address in a range is for: an image, what the PEB, the
// threads and the heaps say about it, or a file.
func (u addressUses) of(v windows.VAD, va uint64) addressUse {
	if v.Image() {
		return addressUse{name: "Image"}
	}
	for _, p := range u {
		if p.end == 0 && v.Contains(p.start) || p.start <= va && va < p.end {
			return p.addressUse
		}
	}
	if private, err := v.Private(); err == nil && !private {
		if file, err := v.File(); err == nil && file != "" {
			return addressUse{name: "MappedFile"}
		}
	}
	return addressUse{name: "<unknown>"}
}

// first is of for a whole range: what is at the first block in it counts.
func (u addressUses) first(v windows.VAD) addressUse {
	for _, p := range u {
		if v.Contains(p.start) && !v.Image() {
			return p.addressUse
		}
	}
	return u.of(v, v.Start)
}

// addressSummary sums the ranges of the process by their use.
func (s *Session) addressSummary(ctx context.Context) error {
	p, err := s.contextProcess()
	if err != nil {
		return err
	}
	type sum struct{ ranges, bytes uint64 }
	sums := map[string]*sum{}
	uses := s.addressUses(ctx, p)
	next, busy := uint64(0), uint64(0)
	count := func(name string, n uint64) {
		if sums[name] == nil {
			sums[name] = &sum{}
		}
		sums[name].ranges++
		sums[name].bytes += n
	}
	for v, err := range p.VADs(ctx) {
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.notef("%v", err)
			continue
		}
		if v.End < v.Start || v.Start < next {
			continue
		}
		if v.Start > next {
			count("Free", v.Start-next)
		}
		next = v.End + 1
		busy += next - v.Start
		count(uses.first(v).name, next-v.Start)
	}
	if next < userLimit {
		count("Free", userLimit-next)
	}
	s.printf("\n--- Usage Summary ---------------- RgnCount ----------- Total Size -------- %%ofBusy %%ofTotal\n")
	for _, name := range []string{"Free", "<unknown>", "Image", "Heap", "Stack", "TEB", "PEB", "MappedFile"} {
		n := sums[name]
		if n == nil {
			continue
		}
		ofBusy := ""
		if name != "Free" && busy > 0 {
			ofBusy = fmt.Sprintf("%6.2f%%", 100*float64(n.bytes)/float64(busy))
		}
		s.printf("%-38s%5d %s %8s  %6.2f%%\n", name, n.ranges, regionSizeShort(n.bytes), ofBusy, 100*float64(n.bytes)/float64(uint64(userLimit)))
	}
	s.printf("\n")
	return nil
}

// regionSizeShort is regionSize for tables.
func regionSizeShort(n uint64) string {
	return fmt.Sprintf("%30s", regionSize(n))
}
