package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"strings"
	"time"
	"unicode"

	"kdap/engine/memory"
	"kdap/engine/types"
	"kdap/engine/windows"
)

// maxBuckets is far above what a hive's table of open keys grows to.
const maxBuckets = 1 << 20

// A ControlBlock is the key control block of an open key.
type ControlBlock struct {
	reg *Registry
	obj types.Object

	Bucket uint64 // of the table it was found in
}

// ControlBlock returns the key control block at addr.
func (r *Registry) ControlBlock(addr uint64) ControlBlock {
	return ControlBlock{reg: r, obj: r.sys.Struct("_CM_KEY_CONTROL_BLOCK", addr)}
}

// Addr returns its address.
func (b ControlBlock) Addr() uint64 { return b.obj.Addr() }

// Object returns the _CM_KEY_CONTROL_BLOCK.
func (b ControlBlock) Object() types.Object { return b.obj }

// Hash returns the hash of its path below the hive.
func (b ControlBlock) Hash() (uint32, error) {
	h, err := memory.ReadUint(b.reg.sys.Kernel(), b.keyHash().Addr(), 4)
	return uint32(h), errors.Join(b.keyHash().Err(), err)
}

func (b ControlBlock) keyHash() types.Object { return b.obj.Field("KeyHash") }

// Hive returns the address of its hive.
func (b ControlBlock) Hive() (uint64, error) { return b.keyHash().Field("KeyHive").Uint() }

// Cell returns the cell of its key.
func (b ControlBlock) Cell() (Cell, error) {
	c, err := b.keyHash().Field("KeyCell").Uint()
	return Cell(c), err
}

// Key returns its key.
func (b ControlBlock) Key() (*Key, error) {
	hive, err := b.Hive()
	cell, cerr := b.Cell()
	if err := errors.Join(err, cerr); err != nil {
		return nil, fmt.Errorf("key control block %#x: %w", b.Addr(), err)
	}
	h, ok := b.reg.known(hive)
	if !ok {
		return nil, fmt.Errorf("key control block %#x: %#x is no hive", b.Addr(), hive)
	}
	return h.Key(cell)
}

// FlagWord returns the dword whose upper half are the key's flags.
func (b ControlBlock) FlagWord() (uint32, error) {
	first := b.obj.FirstField("KcbUserFlags", "Flags")
	if err := first.Err(); err != nil {
		return 0, err
	}
	v, err := memory.ReadUint(b.reg.sys.Kernel(), first.Addr(), 4)
	return uint32(v), err
}

// Flags returns the key's flags.
func (b ControlBlock) Flags() (uint64, error) { return b.obj.Field("Flags").Uint() }

// Parent returns the address of the parent's control block.
func (b ControlBlock) Parent() (uint64, error) { return b.obj.Field("ParentKcb").Uint() }

// Path returns its path in upper case.
func (b ControlBlock) Path() (string, error) { return b.reg.sys.KeyControlBlockPath(b.Addr()) }

// LastWrite returns when its key was changed last.
func (b ControlBlock) LastWrite() (time.Time, error) {
	v, err := b.obj.FirstField("KcbLastWriteTime.QuadPart", "KcbLastWriteTime").Uint()
	return windows.FileTime(v), err
}

// A Table is a hash table of open keys.
type Table struct {
	reg  *Registry
	Addr uint64
	Size uint64 // buckets
	Hive *Hive  // nil for a table of all hives
}

// Table returns the table of the hive's open keys; before builds had one a
// hive, that of all.
func (r *Registry) Table(h *Hive) (Table, error) {
	t := Table{reg: r}
	var err, serr error
	if h != nil && h.obj.Has("KcbCacheTable") {
		t.Hive = h
		t.Addr, err = h.obj.Field("KcbCacheTable").Uint()
		t.Size, serr = h.obj.Field("KcbCacheTableSize").Uint()
	} else {
		t.Addr, err = r.sys.GlobalUint("CmpCacheTable", 8)
		t.Size, serr = r.sys.GlobalUint("CmpHashTableSize", 4)
	}
	if err = errors.Join(err, serr); err == nil && t.Size > maxBuckets {
		err = fmt.Errorf("a size of %d buckets", t.Size)
	}
	if err != nil {
		return t, fmt.Errorf("the table of open keys: %w", err)
	}
	return t, nil
}

// Entry returns the address of a bucket.
func (t Table) Entry(bucket uint64) (uint64, error) {
	e, err := t.reg.sys.Type("_CM_KEY_HASH_TABLE_ENTRY")
	if err != nil {
		return 0, err
	}
	return t.Addr + bucket*e.Size, nil
}

// Blocks yields the control blocks of the table, bucket by bucket.
func (t Table) Blocks(ctx context.Context) iter.Seq2[ControlBlock, error] {
	return func(yield func(ControlBlock, error) bool) {
		seen := map[uint64]bool{}
		for i := range t.Size {
			if err := ctx.Err(); err != nil {
				yield(ControlBlock{}, err)
				return
			}
			if !t.bucket(i, seen, yield) {
				return
			}
		}
	}
}

func (t Table) bucket(i uint64, seen map[uint64]bool, yield func(ControlBlock, error) bool) bool {
	fail := func(at uint64, err error) bool {
		return yield(ControlBlock{}, fmt.Errorf("open keys, bucket %#x at %#x: %w", i, at, err))
	}
	at, err := t.Entry(i)
	if err != nil {
		return fail(at, err)
	}
	sys := t.reg.sys
	offset := sys.Struct("_CM_KEY_CONTROL_BLOCK", 0).Field("KeyHash")
	next, err := sys.Struct("_CM_KEY_HASH_TABLE_ENTRY", at).Field("Entry").Uint()
	for err == nil && next != 0 {
		if seen[next] {
			return fail(next, errors.New("the chain leads to an entry that was there before"))
		}
		seen[next] = true
		b := t.reg.ControlBlock(next - offset.Addr())
		b.Bucket = i
		var after uint64
		// An entry that cannot be read is not shown.
		if after, err = b.keyHash().Field("NextHash").Uint(); err != nil {
			break
		}
		if !yield(b, nil) {
			return false
		}
		at, next = next, after
	}
	if err != nil {
		return fail(at, err)
	}
	return true
}

// OpenKeys yields the control blocks of a hive's open keys, of all hives when h
// is nil.
func (r *Registry) OpenKeys(ctx context.Context, h *Hive) iter.Seq2[ControlBlock, error] {
	return func(yield func(ControlBlock, error) bool) {
		if h == nil && r.sys.Struct("_CMHIVE", 0).Has("KcbCacheTable") {
			for h, err := range r.Hives() {
				if err != nil {
					yield(ControlBlock{}, err)
					return
				}
				for b, err := range r.OpenKeys(ctx, h) {
					if !yield(b, err) {
						return
					}
				}
			}
			return
		}
		t, err := r.Table(h)
		if err != nil {
			yield(ControlBlock{}, err)
			return
		}
		for b, err := range t.Blocks(ctx) {
			if err == nil && h != nil && t.Hive == nil {
				if of, err := b.Hive(); err == nil && of != h.Addr() {
					continue // the table is everybody's
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// ComponentHash returns the hash of one name of a path.
func ComponentHash(name string) uint32 {
	h := uint32(0)
	for _, c := range name {
		h = h*37 + uint32(unicode.ToUpper(c))
	}
	return h
}

// PathHash returns the hash of a path below a hive, 0 for the hive itself.
func PathHash(below string) uint32 {
	p := uint32(0)
	for name := range strings.SplitSeq(below, `\`) {
		if name != "" {
			p = p*37 + ComponentHash(name)
		}
	}
	return p
}

// HashIndex returns the bucket of a hash in a table of size buckets, which is a
// power of two. The multiplier is the kernel's own since its tables are one a
// hive; it comes out of published lists of open keys.
func HashIndex(hash uint32, size uint64) uint64 {
	if size == 0 {
		return 0
	}
	k := 101027 * (hash ^ hash>>9)
	k ^= k >> 9
	if bits.OnesCount64(size) != 1 {
		return uint64(k) % size
	}
	return uint64(k) & (size - 1)
}

// FindControlBlock finds the control block of an open key by its path; of a
// hive's root the one in that hive. The address is 0 when the key is not open.
func (r *Registry) FindControlBlock(ctx context.Context, path string) (ControlBlock, error) {
	path = CleanPath(path)
	var errs []error
	pick := func(blocks iter.Seq2[ControlBlock, error]) (found ControlBlock) {
		for b, err := range blocks {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if p, err := b.Path(); err != nil || !strings.EqualFold(p, path) {
				continue
			}
			found = b
			if flags, err := b.Flags(); err != nil || flags&KeyHiveExit == 0 {
				return found
			}
		}
		return found
	}
	// The bucket that the hash says, else all: the hash may be another build's.
	if h, below := r.hiveOf(path); h != nil {
		if t, err := r.Table(h); err == nil && t.Hive != nil {
			index := HashIndex(PathHash(below), t.Size)
			if b := pick(func(yield func(ControlBlock, error) bool) { t.bucket(index, map[uint64]bool{}, yield) }); b.reg != nil {
				return b, nil
			}
		}
	}
	b := pick(r.OpenKeys(ctx, nil))
	if err := ctx.Err(); err != nil {
		return ControlBlock{}, err
	}
	if b.reg == nil {
		return ControlBlock{}, errors.Join(append([]error{fmt.Errorf("%s: %w", path, ErrNotOpen)}, errs...)...)
	}
	return b, nil
}

// ErrNotOpen says that a key has no control block.
var ErrNotOpen = errors.New("no control block: the key is not open")
