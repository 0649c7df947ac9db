package command

import (
	"context"
	"slices"

	"kdap/engine/expr"
)

func cmdDMLFlow() *Command {
	return &Command{
		Names: []string{".dml_flow"}, Args: "Start Target",
		Short: "show the block of code that an address lies in, the blocks that lead to it and those that follow",
		Run:   runDMLFlow,
	}
}

// runDMLFlow shows one block of the code that flows from a start, between the
// blocks before and behind it.
func runDMLFlow(ctx context.Context, s *Session, c *Call) error {
	start, err := expr.Evaluate(s.env(), c.Args, expr.DefaultKind, "Address expression")
	if err != nil {
		return err
	}
	target, err := expr.Evaluate(s.env(), c.Args, expr.DefaultKind, "Address expression")
	if err != nil {
		return err
	}
	v := s.codeView(ctx)
	fn, err := v.function(ctx, start, functionView{})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(fn.blocks, func(b []codeInstruction) bool {
		return slices.ContainsFunc(b, func(in codeInstruction) bool { return in.addr == target })
	})
	if at < 0 {
		s.printf("No code found, aborting\n")
		return nil
	}
	block := fn.blocks[at]
	before := 0
	for i := range fn.blocks {
		if slices.Contains(fn.following(i), block[0].addr) {
			first := fn.blocks[i][0].addr
			s.printf("%s %s\n", s.addressText(first), s.symbolOrAddress(first))
			before++
		}
	}
	if before == 0 {
		s.printf("<No previous node>\n")
	}
	s.printf("\n")
	for _, in := range block {
		if err := ctx.Err(); err != nil {
			return err
		}
		v.print(ctx, in.addr, v.at(in.addr).text)
	}
	s.printf("\n")
	next := fn.following(at)
	for _, va := range next {
		s.printf("%s %s\n", s.addressText(va), s.symbolOrAddress(va))
	}
	if len(next) == 0 {
		s.printf("<No next node>\n")
	}
	return nil
}

// following returns the addresses that may be run after block i: what its last
// instruction leads to, and the next block where it goes on there.
func (f *functionCode) following(i int) (next []uint64) {
	last := f.blocks[i][len(f.blocks[i])-1]
	if last.branch && last.known {
		next = append(next, last.target)
	}
	if last.falls && i+1 < len(f.blocks) {
		next = append(next, f.blocks[i+1][0].addr)
	}
	return next
}
