package disasm

import (
	"context"
	"slices"

	"kdap/engine/arch/flow"
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
	items := map[uint64]Item{}
	res, err := flow.Analyze(ctx, start, limit, func(va uint64) flow.Step {
		it := At(mode, fetch, va)
		if it.State != Decoded {
			return flow.Step{}
		}
		items[va] = it
		return it.step(&opt)
	})
	if err != nil {
		return nil, err
	}
	fn := &Function{Start: start, Incomplete: res.Incomplete, Count: res.Count}
	for _, addrs := range res.Blocks {
		b := Block{Items: make([]Item, len(addrs))}
		for i, va := range addrs {
			b.Items[i] = items[va]
			if it := items[va]; it.Inst.Flow == Jump && len(it.step(&opt).Targets) == 0 {
				fn.Indirect = append(fn.Indirect, it)
			}
		}
		fn.Blocks = append(fn.Blocks, b)
	}
	return fn, nil
}

// step tells flow analysis what the instruction does.
func (it *Item) step(opt *FlowOptions) flow.Step {
	inst := &it.Inst
	s := flow.Step{OK: true, Size: it.Step, Next: inst.Flow != Return && inst.Flow != Jump}
	if inst.Flow != Jump && inst.Flow != Branch {
		return s
	}
	s.Leader = inst.Flow == Branch && !opt.MergeBranches
	if t, ok := inst.Target(it.Addr); ok {
		s.Targets = []uint64{t}
	} else if slot, ok := inst.Slot(it.Addr); ok && opt.Follow != nil {
		if t, ok := opt.Follow(slot); ok {
			s.Targets = []uint64{t}
		}
	}
	return s
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

// Calls returns the call instructions of the function, by address.
func (fn *Function) Calls() []Item {
	var out []Item
	for i := range fn.Blocks {
		out = append(out, slices.DeleteFunc(slices.Clone(fn.Blocks[i].Items), func(it Item) bool { return it.Inst.Flow != Call })...)
	}
	return out
}
