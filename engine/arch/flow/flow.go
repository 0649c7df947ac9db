// Package flow follows machine code from a start and cuts it into blocks,
// whatever the processor. What an instruction does is told by its caller.
//
// An analysis ends: it visits every address once and stops at a limit.
package flow

import (
	"context"
	"slices"
)

// A Step is what one instruction does to the flow of control.
type Step struct {
	OK      bool     // there is an instruction
	Size    int      // its length in bytes
	Targets []uint64 // where it may lead to, besides the next one
	Next    bool     // whether the next one is reached
	Leader  bool     // whether the next one begins a block
}

// A Result is what an analysis found.
type Result struct {
	Blocks     [][]uint64 // addresses of the instructions, block by block in order
	Count      int        // instructions
	Incomplete bool       // flow ran into something that is no code, or into the limit
}

// Analyze follows the code from start through at most limit instructions.
// The only error is the context's.
func Analyze(ctx context.Context, start uint64, limit int, at func(va uint64) Step) (Result, error) {
	var res Result
	steps := map[uint64]Step{}
	leaders := map[uint64]bool{start: true}
	for work := []uint64{start}; len(work) > 0; {
		va := work[len(work)-1]
		work = work[:len(work)-1]
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		for more := true; more; {
			if _, seen := steps[va]; seen {
				break
			}
			if len(steps) >= limit {
				res.Incomplete = true
				work = nil
				break
			}
			s := at(va)
			if !s.OK || s.Size <= 0 {
				res.Incomplete = true
				break
			}
			steps[va] = s
			for _, t := range s.Targets {
				leaders[t] = true
			}
			work = append(work, s.Targets...)
			va += uint64(s.Size)
			if s.Leader {
				leaders[va] = true
			}
			more = s.Next
		}
	}
	res.Count = len(steps)
	res.Blocks = cut(steps, leaders)
	return res, nil
}

// cut divides the instructions into blocks: one ends before a leader, before
// a gap, and behind an instruction that the next one is not reached from.
func cut(steps map[uint64]Step, leaders map[uint64]bool) [][]uint64 {
	addrs := make([]uint64, 0, len(steps))
	for va := range steps {
		addrs = append(addrs, va)
	}
	slices.Sort(addrs)
	var blocks [][]uint64
	open, next := false, uint64(0)
	for _, va := range addrs {
		if !open || va != next || leaders[va] {
			blocks = append(blocks, nil)
		}
		last := &blocks[len(blocks)-1]
		*last = append(*last, va)
		s := steps[va]
		open, next = s.Next, va+uint64(s.Size)
	}
	return blocks
}
