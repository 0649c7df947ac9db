package command

import (
	"context"
	"strings"

	"kdap/engine/windows/registry"
)

func regCellIndex(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	if c.Args.Done() {
		return Failf("usage: !reg cellindex HiveAddr Index")
	}
	index, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	cell := registry.Cell(index)
	m, err := h.Storage(cell.Storage())
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the hive at %016x", h.Addr())
	}
	off := cell.Offset()
	s.printf("\nMap = %016x Type = %x Table = %x Block = %x Offset = %x\n", m.Map, int(cell.Storage()), off>>21, off>>12&0x1ff, off&0xfff)
	b, err := h.Block(cell)
	if b.Map != 0 {
		s.printf("MapEntry     = %016x\n", b.Map)
	}
	if err != nil {
		s.notef("hive %x, cell %x: %v", h.Addr(), index, err)
		return Failf("Could not find the cell %x", index)
	}
	s.printf("BinAddress   = %016x, BlockOffset = %x\nBlockAddress = %016x\n\npcell:  %016x\n", b.Bin, b.Addr-b.Bin, b.Addr, b.Addr+uint64(off&0xfff)+4)
	return nil
}

func regHashIndex(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	if c.Args.Done() {
		return Failf("usage: !reg hashindex [HiveAddr] HashKey")
	}
	key, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	var h *registry.Hive
	if !c.Args.Done() {
		h = r.Hive(key)
		if signature, err := h.Signature(); err != nil || signature != registry.HiveSignature {
			return Failf("Invalid Hive signature: %x", signature)
		}
		if key, err = s.extensionNumber(c); err != nil {
			return err
		}
	} else if s.sys.Struct("_CMHIVE", 0).Has("KcbCacheTable") {
		return Failf("The hash table is one a hive here: !reg hashindex HiveAddr HashKey")
	}
	t, err := r.Table(h)
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read CmpCacheTable")
	}
	index := registry.HashIndex(uint32(key), t.Size)
	entry, err := t.Entry(index)
	if err != nil {
		return err
	}
	s.printf("\nCmpCacheTable = %016x\n\nHash Index[%08x] : %x\nHash Entry[%08x] : %016x\n", t.Addr, uint32(key), index, uint32(key), entry)
	return nil
}

func regConvKey(_ context.Context, s *Session, r *registry.Registry, c *Call) error {
	path := registry.CleanPath(strings.Trim(c.rest(), `"`))
	h, below := r.Mount(path)
	if h == nil {
		return Failf("Could not find the hive of %s", path)
	}
	s.printf("\nHive %016x %s\n", h.Addr(), visible(h.Path()))
	at := ""
	for name := range strings.SplitSeq(below, `\`) {
		at = strings.TrimPrefix(at+`\`+name, `\`)
		s.printf("%08x %08x %s\n", registry.ComponentHash(name), registry.PathHash(at), visible(at))
	}
	return nil
}

func regFreeBins(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	s.printf("\n")
	for storage, name := range []string{"Stable", "Volatile"} {
		s.printf("%s storage\n[FreeBin]         [Size]     [FileOffset] [Flags]\n", name)
		n := 0
		for b, err := range h.FreeBins(ctx, registry.Storage(storage)) {
			if err != nil {
				s.notef("%v", err)
				continue
			}
			n++
			s.printf("%016x  %08x   %08x     %08x\n", b.Addr, b.Size, b.FileOffset, b.Flags)
		}
		s.printf("%d free bins\n\n", n)
	}
	return ctx.Err()
}

func regFreeCells(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	bin, err := r.Bin(addr)
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the bin at %016x", addr)
	}
	s.printf("\nBin = %016x  FileOffset = %x  Size = %x\n\n[FreeCell]        [Size]\n", bin.Addr, bin.FileOffset, bin.Size)
	count, total := 0, uint64(0)
	for cell, err := range r.Cells(ctx, bin) {
		if err != nil {
			s.notef("%v", err)
			break
		}
		if cell.Used {
			continue
		}
		count++
		total += uint64(cell.Size)
		s.printf("%016x  %x\n", cell.Addr, cell.Size)
	}
	s.printf("%d free cells, %#x bytes\n", count, total)
	return ctx.Err()
}

func regDirtyVector(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	d, err := h.DirtyVector()
	if err != nil {
		s.notef("%v", err)
		return Failf("Could not read the dirty vector of %016x", h.Addr())
	}
	s.printf("\nHSector = 0x%x bytes\nDirtyVector = %016x, %d sectors, DirtyCount = %x\n", registry.SectorSize, d.Addr, d.Bits, d.Count)
	s.printf("\n[FirstSector] [LastSector]  [FileOffset]\n")
	n := uint64(0)
	for first, last := range d.Runs() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n += last - first + 1
		s.printf("%11x   %10x    %x\n", first, last, first*registry.SectorSize)
	}
	s.printf("%d dirty sectors\n", n)
	return nil
}

func regViewList(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	h, err := s.regHive(r, c)
	if err != nil {
		return err
	}
	s.printf("\n")
	section, _ := h.Object().Field("Hive.ViewMap.SectionReference").Uint()
	if section != 0 {
		s.printf("SectionReference = %016x\n", section)
	}
	s.printf("[Address]         [Size]     [FirstCell] [LastCell]\n")
	n := 0
	for v, err := range h.Views(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		n++
		s.printf("%016x  %08x   %08x    %08x\n", v.Addr, v.Size, uint32(v.First), uint32(v.First)+v.Size-1)
	}
	s.printf("%d mapped views\n", n)
	return ctx.Err()
}

func regTransactions(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	s.printf("\n")
	n := 0
	for t, err := range r.Transactions(ctx, addr) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		n++
		state, _ := t.Object.Field("TransState").Uint()
		s.printf("Rm = %016x  Trans = %016x  TransState = %x\n", t.Manager, t.Object.Addr(), state)
	}
	s.printf("%d active transactions\n", n)
	return ctx.Err()
}

func regDumpPool(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	if !c.Args.Done() {
		c.rest()
		return Failf("Writing files is off in this session; start kdap run or kdap shell with --output-dir to allow it.")
	}
	s.printf("\n[Address]         [Tag] [Size]\n")
	count, total := 0, uint64(0)
	for p, err := range r.PoolPages(ctx) {
		if err != nil {
			s.notef("%v", err)
			continue
		}
		count++
		total += p.Size
		s.printf("%016x  %s  %x\n", p.Addr, visible(p.Tag), p.Size)
	}
	s.printf("%d allocations, %#x bytes\n", count, total)
	return ctx.Err()
}
