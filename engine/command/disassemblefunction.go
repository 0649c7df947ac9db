package command

import (
	"context"
	"fmt"
	"slices"

	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/arch/arm64"
	"kdap/engine/expr"
)

// functionView are the options of uf.
type functionView struct {
	calls    bool // c: only the calls
	count    bool // i: how many instructions
	merge    bool // m: blocks go on behind a conditional branch
	branches bool // D: mark jumps
}

func cmdUnassembleFunction() *Command {
	return &Command{
		Names: []string{"uf"}, Args: "[/c] [/D] [/m] [/i] [/o|/O] Address", Short: "show the code of a function, or its calls",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			var fv functionView
			for {
				c.Args.SkipBlanks()
				rest := c.Args.Rest()
				if len(rest) < 2 || rest[0] != '/' && rest[0] != '-' {
					break
				}
				switch rest[1] {
				case 'c':
					fv.calls = true
				case 'i':
					fv.count = true
				case 'm':
					fv.merge = true
				case 'd', 'D':
					fv.branches = true
				case 'o', 'O':
				default:
					return expr.Caret("Unknown uf option", c.Args.Pos+1)
				}
				c.Args.Pos += 2
			}
			va, err := expr.Evaluate(s.env(), c.Args, expr.DefaultKind, "Address expression")
			if err != nil {
				return err
			}
			return s.unassembleFunction(ctx, va, fv)
		},
	}
}

// A functionCode is a function's code, of whatever processor.
type functionCode struct {
	blocks     [][]codeInstruction
	incomplete bool
	count      int
	unfollowed int // jumps through memory or registers
}

type codeInstruction struct {
	addr   uint64
	op     string // mnemonic and operands, of calls
	branch bool
	call   bool
	falls  bool // the next one may follow
	target uint64
	known  bool // target is known
}

// unassembleFunction is uf.
func (s *Session) unassembleFunction(ctx context.Context, va uint64, fv functionView) error {
	start := s.functionStart(ctx, va)
	v := s.codeView(ctx)
	fn, err := v.function(ctx, start, fv)
	if err != nil {
		return err
	}
	if len(fn.blocks) == 0 {
		s.printf("No code found, aborting\n")
		return nil
	}
	if fn.incomplete {
		s.printf("Flow analysis was incomplete, some code may be missing\n")
	}
	if fn.unfollowed > 0 {
		s.notef("%d jumps through registers or memory were not followed; code that only they reach is missing", fn.unfollowed)
	}
	if fv.calls {
		return s.printCalls(ctx, start, fn, fv)
	}
	if fv.count {
		s.printf("%d instructions scanned\n\n", fn.count)
	}
	if p, ok := s.place(ctx, start); ok && s.settings.lines && p.File != "" {
		v.numbers, v.indent = true, true
	}
	for i, block := range fn.blocks {
		if i > 0 {
			s.printf("\n")
		}
		v.begun = false
		for _, in := range block {
			if err := ctx.Err(); err != nil {
				return err
			}
			text := v.at(in.addr).text
			if fv.branches && in.branch {
				text += "  Branch"
			}
			v.print(ctx, in.addr, text)
		}
	}
	return nil
}

// maxFunction bounds how many instructions a function may have; the largest of
// Windows have some ten thousand.
const maxFunction = 1 << 16

// function follows the code of the function at start. A function that is only
// a jump through a pointer is followed to what the pointer leads to; in other
// functions such a jump ends the analysis.
func (v *codeView) function(ctx context.Context, start uint64, fv functionView) (*functionCode, error) {
	if v.arm64 {
		return v.functionARM64(ctx, start)
	}
	opt := disasm.FlowOptions{MergeBranches: fv.merge, MaxInstructions: maxFunction}
	first := disasm.At(v.mode, v.fetch, start)
	if slot, ok := first.Inst.Slot(start); ok && first.Inst.Flow == disasm.Jump {
		opt.Follow = func(at uint64) (uint64, bool) {
			if at != slot {
				return 0, false
			}
			return v.pointerAt(at)
		}
	}
	found, err := disasm.Analyze(ctx, v.mode, v.fetch, start, opt)
	if err != nil {
		return nil, err
	}
	fn := &functionCode{incomplete: found.Incomplete, count: found.Count, unfollowed: len(found.Indirect)}
	for _, b := range found.Blocks {
		var block []codeInstruction
		for _, it := range b.Items {
			in := codeInstruction{addr: it.Addr}
			in.branch = it.Inst.Flow == disasm.Jump || it.Inst.Flow == disasm.Branch
			in.falls = it.Inst.Flow != disasm.Jump && it.Inst.Flow != disasm.Return
			if in.branch {
				in.target, in.known = it.Inst.Target(it.Addr)
			}
			if in.call = it.Inst.Flow == disasm.Call; in.call {
				in.op = operation(it.Inst.Text(it.Addr, &v.options))
				in.target, in.known = it.Inst.Target(it.Addr)
				if slot, ok := it.Inst.Slot(it.Addr); ok && !in.known {
					in.target, in.known = v.pointerAt(slot)
				}
			}
			block = append(block, in)
		}
		fn.blocks = append(fn.blocks, block)
	}
	return fn, nil
}

func (v *codeView) functionARM64(ctx context.Context, start uint64) (*functionCode, error) {
	res, err := arm64.Analyze(ctx, arm64.Fetch(v.fetch), start)
	if err != nil {
		return nil, err
	}
	fn := &functionCode{incomplete: res.Incomplete, count: res.Count}
	for _, addrs := range res.Blocks {
		var block []codeInstruction
		for _, va := range addrs {
			inst, _ := arm64.At(arm64.Fetch(v.fetch), va) // the analysis has read it
			in := codeInstruction{addr: va, call: inst.Flow == arm64.Call}
			if in.call {
				in.op = operation(inst.Text(va, &arm64.Options{Symbol: v.options.Symbol}))
			}
			in.branch = inst.Flow == arm64.Jump || inst.Flow == arm64.Branch
			in.falls = inst.Flow != arm64.Jump && inst.Flow != arm64.Return
			in.target, in.known = inst.Target(va)
			if inst.Flow == arm64.Jump && !in.known {
				fn.unfollowed++
			}
			block = append(block, in)
		}
		fn.blocks = append(fn.blocks, block)
	}
	return fn, nil
}

// printCalls is uf /c.
func (s *Session) printCalls(ctx context.Context, start uint64, fn *functionCode, fv functionView) error {
	s.printf("%s", s.codeName(ctx, start))
	if fv.count {
		s.printf(", %d instructions", fn.count)
	}
	s.printf("\n")
	none := true
	for _, in := range slices.Concat(fn.blocks...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !in.call {
			continue
		}
		none = false
		s.printf("  %s:\n", s.codeName(ctx, in.addr))
		if in.known {
			s.printf("    call to %s\n", s.codeName(ctx, in.target))
		} else {
			s.printf("    unresolvable call: %s\n", in.op)
		}
	}
	if none {
		s.printf("    no calls found\n")
	}
	return nil
}

// operation writes mnemonic and operands as a line of code has them.
func operation(mnemonic, operands string) string { return fmt.Sprintf("%-7s %s", mnemonic, operands) }

// codeName is how uf /c names a place: "nt!Name+0x10 (address) [file @ line]".
func (s *Session) codeName(ctx context.Context, va uint64) string {
	o := disasm.Options{AddressDigits: s.addressDigits()}
	text := o.Address(va)
	if name := s.symbolText(ctx, va); name != "" {
		text = name + " (" + text + ")"
	}
	if p, ok := s.place(ctx, va); ok {
		text += s.sourceSuffix(p)
	}
	return text
}
