package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/expr"
	"kdap/engine/memory"
)

func physicalCommands() []*Command {
	list := []*Command{{
		Names: []string{"!search"}, Args: "[-s] [-p] Data [Delta [StartPfn [EndPfn]]]",
		Short: "search physical memory for a number or one like it",
		Run:   func(ctx context.Context, s *Session, c *Call) error { return s.searchPhysical(ctx, c.Args) },
	}}
	for _, form := range []string{"db", "dc", "dd", "dp", "dq", "du", "dw"} {
		list = append(list, &Command{
			Names: []string{"!" + form}, Args: "[[c]|[uc]|[wc]] [-m] [PhysicalAddress] [L Size]",
			Short: "show physical memory as " + form + " shows virtual memory",
			Run:   func(ctx context.Context, s *Session, c *Call) error { return s.showPhysical(ctx, c.Args, form) },
		})
	}
	return list
}

// maxPhysicalString is how many characters !du shows without a range.
const maxPhysicalString = 16

// showPhysical shows physical memory. A dump keeps no caching attributes: what
// they are is not looked at.
func (s *Session) showPhysical(ctx context.Context, c *expr.Cursor, form string) error {
	for {
		c.SkipBlanks()
		switch rest := c.Rest(); {
		case strings.HasPrefix(rest, "[c]"):
			c.Pos += 3
		case strings.HasPrefix(rest, "[uc]"), strings.HasPrefix(rest, "[wc]"):
			c.Pos += 4
		case strings.HasPrefix(rest, "-m"):
			c.Pos += 2
		default:
			return s.physicalRange(ctx, c, form)
		}
	}
}

func (s *Session) physicalRange(ctx context.Context, c *expr.Cursor, form string) error {
	if form == "dp" {
		form = "dq"
		if s.env().PointerSize() == 4 {
			form = "dd"
		}
	}
	f, size, count := rowForms[form], uint64(2), uint64(maxPhysicalString)
	if form != "du" {
		size, count = uint64(f.size), f.count
	}
	r := expr.Range{Addr: s.display.physical, Count: count}
	if !c.Done() {
		var err error
		if r, err = expr.ReadRange(s.env(), c, expr.RangeSpec{ElemSize: size, Default: count, MaxUnlimited: maxUnlimited}); err != nil {
			return err
		}
	}
	space := memory.PhysicalSpace{Phys: s.env().Physical()}
	if form == "du" {
		read := newTextReader(space, r.Addr, 2)
		text, _, _ := read.take(r.Count)
		if _, readable := newTextReader(space, r.Addr, 2).char(); !readable {
			return s.physicalMissing(r.Addr)
		}
		s.printf("#%s \"%s\"\n", physicalAddr(r.Addr), text)
		s.display.physical = read.next()
		return nil
	}
	perRow := f.cells * size
	b := make([]byte, perRow)
	for done, all := uint64(0), r.Count*size; done < all; done += perRow {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, n := r.Addr+done, min(perRow, all-done)
		got, err := space.Read(at, b[:n])
		if err != nil {
			return s.physicalMissing(at + uint64(got))
		}
		s.printf("#%s%s\n", physicalAddr(at), physicalCells(f, form == "db", b[:n]))
		s.display.physical = at + n
	}
	return nil
}

func (s *Session) physicalMissing(pa uint64) error {
	return s.said("Physical memory read at %x failed (the page is not in the dump)\n", pa)
}

// physicalAddr writes a physical address: plain, with a backtick when it needs
// more than 32 bits.
func physicalAddr(pa uint64) string {
	if pa>>32 == 0 {
		return fmt.Sprintf("%x", pa)
	}
	return fmt.Sprintf("%x`%08x", pa>>32, uint32(pa))
}

func physicalCells(f rowForm, dash bool, b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); i += f.size {
		if dash && i == 8 {
			out.WriteByte('-')
		} else {
			out.WriteByte(' ')
		}
		out.WriteString(f.cell(b[i : i+f.size]))
	}
	if f.text == nil {
		return out.String()
	}
	valid := make([]bool, len(b))
	for i := range valid {
		valid[i] = true
	}
	full := int(f.cells) * (f.width + 1)
	return fmt.Sprintf("%-*s %s", full, out.String(), f.text(b, valid, f.size))
}

// searchPhysical looks through physical memory for numbers that are Data, or
// differ from it by one bit or by at most Delta.
func (s *Session) searchPhysical(ctx context.Context, c *expr.Cursor) error {
	for c.SkipBlanks(); strings.HasPrefix(c.Rest(), "-"); c.SkipBlanks() {
		c.Word() // -s is about wrong symbols, -p about 32-bit values: there is nothing to do for them
	}
	var data, delta uint64
	phys := s.env().Physical()
	first, last := s.physicalBounds()
	for i, p := range []*uint64{&data, &delta, &first, &last} {
		if i > 0 && c.Done() {
			break
		}
		v, err := s.number(c)
		if err != nil {
			return err
		}
		*p = v
	}
	if phys == nil {
		return Failf("The dump holds no physical memory.")
	}
	s.printf("Searching PFNs in range %016X - %016X for [%016X - %016X]\n\n", first, last, data-delta, data+delta)
	s.printf("%-16s %-8s %-16s %-16s %-16s\n", "Pfn", "Offset", "Hit", "Va", "Pte")
	s.printf("- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - -\n")
	return memory.InOrder(ctx, s.pageParts(first, last), func(part []dump.Run, out []physicalHit) []physicalHit {
		for _, run := range part {
			for i := range run.PageCount {
				page, ok := s.target.Dump.Page(run.BasePage + i)
				if !ok || ctx.Err() != nil {
					continue
				}
				out = likeNumber(page, run.BasePage+i, data-delta, 2*delta, out)
			}
		}
		return out
	}, func(h physicalHit) bool {
		va, pte, err := s.sys.PagePlace(h.pfn)
		if err == nil && va != 0 {
			va += uint64(h.off)
		}
		s.printf("%016X %08X %016X %016X %016X\n", h.pfn, h.off, h.value, va, pte)
		return ctx.Err() == nil
	})
}

// likeNumber appends the numbers of a page that are at most span above low or
// differ from it in one bit at most.
func likeNumber(page []byte, pfn, low, span uint64, out []physicalHit) []physicalHit {
	for off := 0; len(page) >= 8; off, page = off+8, page[8:] {
		v := binary.LittleEndian.Uint64(page)
		if d := v ^ low; d&(d-1) == 0 || v-low <= span {
			out = append(out, physicalHit{pfn, off, v})
		}
	}
	return out
}

// A physicalHit is a number that !search found.
type physicalHit struct {
	pfn   uint64
	off   int
	value uint64
}

// searchedPages is how many pages one processor searches at a time.
const searchedPages = 256

// pageParts yields the pages that the dump holds, from first to last, in parts
// of at most searchedPages.
func (s *Session) pageParts(first, last uint64) func() ([]dump.Run, bool) {
	var parts [][]dump.Run
	room := uint64(0)
	for run := range s.target.Dump.Runs() {
		from, to := max(run.BasePage, first), min(run.BasePage+run.PageCount-1, last)
		for from <= to && run.PageCount > 0 {
			if room == 0 {
				parts, room = append(parts, nil), searchedPages
			}
			n := min(to-from, room-1) + 1
			parts[len(parts)-1] = append(parts[len(parts)-1], dump.Run{BasePage: from, PageCount: n})
			from, room = from+n, room-n
		}
	}
	return func() ([]dump.Run, bool) {
		if len(parts) == 0 {
			return nil, false
		}
		part := parts[0]
		parts = parts[1:]
		return part, true
	}
}

// physicalBounds returns the first and the last page that the dump holds.
func (s *Session) physicalBounds() (first, last uint64) {
	first = ^uint64(0)
	for run := range s.target.Dump.Runs() {
		if run.PageCount > 0 {
			first, last = min(first, run.BasePage), max(last, run.BasePage+run.PageCount-1)
		}
	}
	if first > last {
		return 0, 0
	}
	return first, last
}
