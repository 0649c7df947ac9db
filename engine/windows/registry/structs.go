package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// MaxSecurity is far above the entries of a hive's security cache.
const MaxSecurity = 1 << 20

// checkedBytes is the part of a base block that its checksum covers.
const checkedBytes = 0x1fc

// CheckSum returns the checksum of the base block's bytes.
func (h *Hive) CheckSum() (uint32, error) {
	at, err := h.BaseBlock()
	if err != nil {
		return 0, err
	}
	b, err := memory.ReadBytes(h.reg.sys.Kernel(), at, checkedBytes)
	if err != nil {
		return 0, err
	}
	return checkSum(b), nil
}

func checkSum(b []byte) uint32 {
	sum := uint32(0)
	for ; len(b) >= 4; b = b[4:] {
		sum ^= binary.LittleEndian.Uint32(b)
	}
	switch sum { // two values have a meaning of their own
	case 0:
		return 1
	case 0xffffffff:
		return 0xfffffffe
	}
	return sum
}

// SectorSize is how many bytes a bit of a dirty vector stands for.
const SectorSize = 512

const maxDirtyBits = 1 << 26

// A DirtyVector says which sectors of a hive are not yet in its file. The
// kernel's other bit maps of a hive are read as such, too.
type DirtyVector struct {
	Addr  uint64
	Bits  uint64
	Count uint64 // as the hive says

	words []byte
}

// DirtyVector reads the hive's dirty vector.
func (h *Hive) DirtyVector() (DirtyVector, error) {
	count, err := h.obj.Field("Hive.DirtyCount").Uint()
	if err != nil {
		return DirtyVector{}, fmt.Errorf("hive %#x: dirty vector: %w", h.Addr(), err)
	}
	d, err := h.bitmap(h.obj.Field("Hive.DirtyVector"), "dirty vector")
	d.Count = count
	return d, err
}

// bitmap reads a _RTL_BITMAP.
func (h *Hive) bitmap(o types.Object, what string) (DirtyVector, error) {
	n, err := o.Field("SizeOfBitMap").Uint()
	at, aerr := o.Field("Buffer").Uint()
	if err := errors.Join(err, aerr); err != nil {
		return DirtyVector{}, fmt.Errorf("hive %#x: %s: %w", h.Addr(), what, err)
	}
	d := DirtyVector{Addr: at, Bits: n}
	if n > maxDirtyBits {
		return d, fmt.Errorf("hive %#x: %s: a size of %d bits", h.Addr(), what, n)
	}
	if at == 0 || n == 0 {
		d.Bits = 0
		return d, nil
	}
	if d.words, err = memory.ReadBytes(h.reg.sys.Kernel(), at, int(n+7)/8); err != nil {
		return d, fmt.Errorf("hive %#x: %s: %w", h.Addr(), what, err)
	}
	return d, nil
}

func (r *Registry) pointer(at uint64) (uint64, error) { return memory.ReadUint(r.sys.Kernel(), at, 8) }

// Runs yields the first and last sector of each run of dirty ones.
func (d DirtyVector) Runs() iter.Seq2[uint64, uint64] {
	return func(yield func(first, last uint64) bool) {
		bit := func(i uint64) bool { return i < d.Bits && d.words[i/8]>>(i%8)&1 != 0 }
		for i := uint64(0); i < d.Bits; i++ {
			if i%8 == 0 && bits.OnesCount8(d.words[i/8]) == 0 {
				i += 7
				continue
			}
			if !bit(i) {
				continue
			}
			first := i
			for bit(i + 1) {
				i++
			}
			if !yield(first, i) {
				return
			}
		}
	}
}

// A Transaction is a transaction on the registry that is under way.
type Transaction struct {
	Manager uint64       // the _CM_RM
	Object  types.Object // the _CM_TRANS
}

// Transactions yields the active transactions of the resource manager at addr,
// of all when it is 0.
func (r *Registry) Transactions(ctx context.Context, addr uint64) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		trans, err := r.sys.Type("_CM_TRANS")
		if err != nil {
			yield(Transaction{}, err)
			return
		}
		each := func(rm types.Object) bool {
			for t, err := range types.ListEntries(rm.Field("TransactionListHead"), trans, "TransactionListEntry") {
				if ctx.Err() != nil || !yield(Transaction{Manager: rm.Addr(), Object: t}, err) {
					return false
				}
			}
			return true
		}
		if addr != 0 {
			each(r.sys.Struct("_CM_RM", addr))
			return
		}
		t, err := r.sys.Type("_CM_RM")
		if err != nil {
			yield(Transaction{}, err)
			return
		}
		for rm, err := range types.ListEntries(r.sys.Global("CmpRmListHead", "_LIST_ENTRY"), t, "RmListEntry") {
			if err != nil {
				yield(Transaction{}, err)
				return
			}
			if !each(rm) {
				return
			}
		}
	}
}

// A PoolPage is an allocation of whole pages of pool that the registry made.
type PoolPage struct {
	Addr, Size uint64
	Tag        string
}

const (
	maxBigPages   = 1 << 24
	bigPagesPiece = 1 << 16 // bytes read at once
)

// PoolPages yields the registry's large allocations: those with a tag CM.. in
// nt!PoolBigPageTable. Pages of the table that cannot be read yield an error.
func (r *Registry) PoolPages(ctx context.Context) iter.Seq2[PoolPage, error] {
	return func(yield func(PoolPage, error) bool) {
		fail := func(err error) bool { return yield(PoolPage{}, fmt.Errorf("PoolBigPageTable: %w", err)) }
		table, err := r.sys.GlobalUint("PoolBigPageTable", 8)
		count, cerr := r.sys.GlobalUint("PoolBigPageTableSize", 8)
		entry := r.sys.Struct("_POOL_TRACKER_BIG_PAGES", 0)
		va, tag, size := entry.Field("Va"), entry.Field("Key"), entry.Field("NumberOfBytes")
		if err := errors.Join(err, cerr, entry.Err(), va.Err(), tag.Err(), size.Err()); err != nil {
			fail(err)
			return
		}
		each := entry.Type().Size
		if count > maxBigPages || each < 8 || max(va.Addr(), size.Addr())+8 > each || tag.Addr()+4 > each {
			fail(fmt.Errorf("%d entries of %d bytes", count, each))
			return
		}
		le := binary.LittleEndian
		step := bigPagesPiece / each
		for i := uint64(0); i < count; i += step {
			if ctx.Err() != nil {
				return
			}
			n := min(step, count-i) * each
			b, err := memory.ReadBytes(r.sys.Kernel(), table+i*each, int(n))
			for ; uint64(len(b)) >= each; b = b[each:] {
				at := le.Uint64(b[va.Addr():])
				name := b[tag.Addr() : tag.Addr()+4]
				if at&1 != 0 || at == 0 || name[0] != 'C' || name[1] != 'M' { // the low bit: a free slot
					continue
				}
				if !yield(PoolPage{at, le.Uint64(b[size.Addr():]), string(name)}, nil) {
					return
				}
			}
			if err != nil && !fail(err) {
				return
			}
		}
	}
}
