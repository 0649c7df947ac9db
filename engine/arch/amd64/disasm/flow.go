package disasm

import (
	"context"
	"slices"
)

// A Block is a run of instructions that is entered only at its first one.
type Block struct{ Items []Item }

// Addr returns the address of the block's first instruction.
func (b *Block) Addr() uint64 { return b.Items[0].Addr }

// A Function is the code that flow analysis reached from a start.
type Function struct {
	Start      uint64
	Blocks     []Block // by address
	Incomplete bool    // flow ran into undefined or unreadable code, or was too long
	Indirect   []Item  // jumps through registers and memory, where analysis stopped
	Count      int     // instructions
}

// FlowOptions changes how blocks are formed and how far code is followed.
type FlowOptions struct {
	// MergeBranches lets blocks go on behind a conditional branch (uf /m).
	MergeBranches bool
	// Follow, when set, gives the code that an indirect jump through memory
	// leads to, so that it is followed as well.
	Follow func(slot uint64) (target uint64, ok bool)
	// MaxInstructions bounds the analysis; zero is a default that is larger
	// than any function of Windows.
	MaxInstructions int
}

const defaultMaxInstructions = 1 << 18

// Analyze follows the code from start: jumps, branches and what comes behind
// them, also into other functions, but not calls. When there is no code at
// start, the Function has no blocks. The only error is the context's.
func Analyze(ctx context.Context, mode Mode, fetch Fetch, start uint64, opt FlowOptions) (*Function, error) {
	limit := opt.MaxInstructions
	if limit <= 0 {
		limit = defaultMaxInstructions
	}
	fn := &Function{Start: start}
	items := map[uint64]Item{}
	leaders := map[uint64]bool{start: true}
	work := []uint64{start}
	for len(work) > 0 {
		va := work[len(work)-1]
		work = work[:len(work)-1]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for more := true; more; {
			if _, seen := items[va]; seen {
				break
			}
			if len(items) >= limit {
				fn.Incomplete = true
				work = nil
				break
			}
			it := At(mode, fetch, va)
			if it.State != Decoded {
				fn.Incomplete = true
				break
			}
			items[va] = it
			var targets []uint64
			targets, more = fn.leave(&it, &opt)
			for _, t := range targets {
				leaders[t] = true
				work = append(work, t)
			}
			va = it.Next()
			if it.Inst.Flow == Branch && !opt.MergeBranches {
				leaders[va] = true
			}
		}
	}
	fn.Count = len(items)
	fn.Blocks = blocks(items, leaders)
	slices.SortFunc(fn.Indirect, func(a, b Item) int {
		switch {
		case a.Addr < b.Addr:
			return -1
		case a.Addr > b.Addr:
			return 1
		}
		return 0
	})
	return fn, nil
}

// leave returns where an instruction leads to besides the next one, and
// whether the next one is reached.
func (fn *Function) leave(it *Item, opt *FlowOptions) (targets []uint64, next bool) {
	inst := &it.Inst
	switch inst.Flow {
	case Return:
		return nil, false
	case Jump, Branch:
		if t, ok := inst.Target(it.Addr); ok {
			return []uint64{t}, inst.Flow == Branch
		}
		if slot, ok := inst.Slot(it.Addr); ok && opt.Follow != nil {
			if t, ok := opt.Follow(slot); ok {
				return []uint64{t}, false
			}
		}
		fn.Indirect = append(fn.Indirect, *it)
		return nil, false
	}
	return nil, true
}

// Slot returns the address of the pointer that a call or jump through memory
// at addr uses, when it is known without registers.
func (i *Inst) Slot(addr uint64) (uint64, bool) {
	if i.Flow != Call && i.Flow != Jump {
		return 0, false
	}
	for k := range i.Args() {
		if a := &i.args[k]; a.Kind == ArgMem {
			at, ok := i.Address(addr, &a.Mem)
			return i.cut(at), ok && a.Mem.Segment.Class == NoClass
		}
	}
	return 0, false
}

// blocks cuts the instructions into blocks.
func blocks(items map[uint64]Item, leaders map[uint64]bool) []Block {
	addrs := make([]uint64, 0, len(items))
	for va := range items {
		addrs = append(addrs, va)
	}
	slices.Sort(addrs)
	var out []Block
	var end uint64 // where the current block would go on
	for _, va := range addrs {
		it := items[va]
		if len(out) == 0 || va != end || leaders[va] {
			out = append(out, Block{})
		}
		b := &out[len(out)-1]
		b.Items = append(b.Items, it)
		end = it.Next()
		if it.Inst.Flow == Jump || it.Inst.Flow == Return {
			end = va // nothing goes on behind it
		}
	}
	return out
}

// Calls returns the call instructions of the function, by address.
func (fn *Function) Calls() []Item {
	var out []Item
	for i := range fn.Blocks {
		for _, it := range fn.Blocks[i].Items {
			if it.Inst.Flow == Call {
				out = append(out, it)
			}
		}
	}
	return out
}
