package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/memory"
)

// A Bin is a piece of a storage that cells are allocated from.
type Bin struct {
	Addr       uint64
	FileOffset uint32 // from the first bin on
	Size       uint32
}

const blockSize = 0x1000

// Bin reads the head of the bin at addr.
func (r *Registry) Bin(addr uint64) (Bin, error) {
	b, err := memory.ReadBytes(r.space, addr, binHeader)
	if err != nil {
		return Bin{}, fmt.Errorf("bin %#x: %w", addr, err)
	}
	le := binary.LittleEndian
	if s := le.Uint32(b); s != signatureBin {
		return Bin{}, fmt.Errorf("bin %#x: signature %#x is no bin's", addr, s)
	}
	bin := Bin{Addr: addr, FileOffset: le.Uint32(b[4:]), Size: le.Uint32(b[8:])}
	if bin.Size == 0 || bin.Size%blockSize != 0 {
		return bin, fmt.Errorf("bin %#x: size %#x is no multiple of a block", addr, bin.Size)
	}
	return bin, nil
}

// Bins yields the bins of a storage. Blocks that are not in the dump give an
// error each.
func (h *Hive) Bins(ctx context.Context, s Storage) iter.Seq2[Bin, error] {
	return func(yield func(Bin, error) bool) {
		m, err := h.Storage(s)
		if err != nil {
			yield(Bin{}, err)
			return
		}
		for at := uint64(0); at < uint64(m.Length); {
			if err := ctx.Err(); err != nil {
				yield(Bin{}, err)
				return
			}
			c := Cell(at)
			if s == Volatile {
				c |= volatileCell
			}
			b, err := h.Block(c)
			var bin Bin
			if err == nil {
				bin, err = h.reg.Bin(b.Addr)
			}
			step := uint64(blockSize)
			if err != nil {
				err = h.damage(c, b.Addr, "bin", err)
			} else {
				step = uint64(bin.Size)
			}
			if !yield(bin, err) {
				return
			}
			at += step
		}
	}
}

// A CellInfo is one cell of a bin.
type CellInfo struct {
	Addr uint64 // of its size
	Size uint32
	Used bool
}

// Cells yields the cells of a bin, used and free.
func (r *Registry) Cells(ctx context.Context, bin Bin) iter.Seq2[CellInfo, error] {
	return func(yield func(CellInfo, error) bool) {
		for at := uint64(binHeader); at < uint64(bin.Size); {
			if err := ctx.Err(); err != nil {
				yield(CellInfo{}, err)
				return
			}
			raw, err := memory.ReadUint(r.space, bin.Addr+at, 4)
			if err != nil {
				yield(CellInfo{}, fmt.Errorf("bin %#x, cell %#x: %w", bin.Addr, bin.Addr+at, err))
				return
			}
			n := int64(int32(raw))
			size := max(n, -n)
			if size < 8 || size%8 != 0 || size > int64(bin.Size)-int64(at) {
				yield(CellInfo{}, fmt.Errorf("bin %#x, cell %#x: size %#x is no cell's", bin.Addr, bin.Addr+at, uint32(raw)))
				return
			}
			if !yield(CellInfo{Addr: bin.Addr + at, Size: uint32(size), Used: n < 0}, nil) {
				return
			}
			at += uint64(size)
		}
	}
}

// A FreeBin is an entry of a hive's list of free bins.
type FreeBin struct {
	Addr                    uint64 // of the entry
	Size, FileOffset, Flags uint32
}

// The symbols do not describe the entries: a list entry, then these three
// dwords. Source: public descriptions of the configuration manager.
const freeBinNumbers = 0x10

// FreeBins yields the list of free bins of a storage.
func (h *Hive) FreeBins(ctx context.Context, s Storage) iter.Seq2[FreeBin, error] {
	return func(yield func(FreeBin, error) bool) {
		head := h.obj.Field("Hive.Storage").Index(int(s)).Field("FreeBins")
		if err := head.Err(); err != nil {
			yield(FreeBin{}, fmt.Errorf("hive %#x: free bins: %w", h.Addr(), err))
			return
		}
		seen := map[uint64]bool{}
		for at := head; ctx.Err() == nil; {
			next, err := at.Field("Flink").Uint()
			if err == nil && next != head.Addr() && (next == 0 || seen[next] || len(seen) >= maxBuckets) {
				err = errors.New("the list does not close")
			}
			if err != nil {
				yield(FreeBin{}, fmt.Errorf("hive %#x: free bins, after %#x: %w", h.Addr(), at.Addr(), err))
				return
			}
			if next == head.Addr() {
				return
			}
			seen[next] = true
			b, err := memory.ReadBytes(h.reg.sys.Kernel(), next+freeBinNumbers, 12)
			if err != nil {
				yield(FreeBin{}, fmt.Errorf("hive %#x: free bin %#x: %w", h.Addr(), next, err))
				return
			}
			le := binary.LittleEndian
			if !yield(FreeBin{next, le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])}, nil) {
				return
			}
			at = head.At(next, head.Type())
		}
	}
}

// A View is a run of blocks that lie together in the process Registry.
type View struct {
	Addr  uint64
	Size  uint32
	First Cell
}

// Views yields where the hive's file is mapped, from its map. Hives in pool
// have no views.
func (h *Hive) Views(ctx context.Context) iter.Seq2[View, error] {
	return func(yield func(View, error) bool) {
		m, err := h.Storage(Stable)
		if err != nil {
			yield(View{}, err)
			return
		}
		var v View
		for at := uint64(0); at < uint64(m.Length) && ctx.Err() == nil; at += blockSize {
			b, err := h.Block(Cell(at))
			if err == nil && v.Size > 0 && b.Addr == v.Addr+uint64(v.Size) {
				v.Size += blockSize
				continue
			}
			if v.Size > 0 && !yield(v, nil) {
				return
			}
			v = View{}
			if err != nil {
				if !yield(View{}, h.damage(Cell(at), 0, "block", err)) {
					return
				}
			} else if b.Addr < userHalf {
				v = View{Addr: b.Addr, Size: blockSize, First: Cell(at)}
			}
		}
		if v.Size > 0 {
			yield(v, nil)
		}
	}
}
