package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/arch/arm64"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// code is where instructions are read: an address space and, for pages that
// are not in the dump, the image file of the module they belong to.
type code struct {
	module  *windows.Module // nil outside of all modules
	space   memory.Space
	machine uint32 // IMAGE_FILE_MACHINE
}

// Machines whose code differs from x64's.
const (
	machineX86   = 0x14c
	machineARM64 = 0xaa64
)

// machine returns the machine of the dump.
func (t *target) machine() uint32 {
	if u := t.System.User(); u != nil {
		return u.Machine()
	}
	return t.Dump.Header.MachineImageType
}

func (t *target) code(sp space, va uint64) code {
	return code{sp.modules.Find(va), sp.space, t.machine()}
}

// An item is an instruction, or what stands in place of one.
type item struct {
	Addr  uint64
	Code  []byte
	State disasm.State
	next  uint64
	line  func(disasm.Symbolizer) string // with address and bytes
	text  func(disasm.Symbolizer) string // the instruction alone
}

// at decodes what is at an address.
func (c code) at(ctx context.Context, va uint64) item {
	if c.machine == machineARM64 {
		return c.armAt(ctx, va)
	}
	it := disasm.At(c.mode(), c.fetch(ctx), va)
	return item{
		Addr: it.Addr, Code: it.Code, State: it.State, next: it.Next(),
		line: func(sym disasm.Symbolizer) string {
			return it.Line(disasm.Options{IgnoreOutputWidth: true, Symbol: sym})
		},
		text: func(sym disasm.Symbolizer) string {
			mnemonic, operands := it.Inst.Text(it.Addr, &disasm.Options{Symbol: sym})
			return strings.TrimSpace(mnemonic + " " + operands)
		},
	}
}

// armWidth is the length of every ARM64 instruction.
const armWidth = 4

func (c code) armAt(ctx context.Context, va uint64) item {
	inst, ok := arm64.At(arm64.Fetch(c.fetch(ctx)), va)
	it := item{Addr: va, next: va&^(armWidth-1) + armWidth}
	switch {
	case !ok:
		it.State = disasm.Unreadable
		it.line = func(sym disasm.Symbolizer) string { return arm64.UnreadableLine(va, arm64.Options{Symbol: sym}) }
	default:
		it.Code = binary.LittleEndian.AppendUint32(nil, inst.Word)
		if inst.Mnemonic == "" {
			it.State = disasm.Undefined
		}
		it.line = func(sym disasm.Symbolizer) string { return inst.Line(va, arm64.Options{Symbol: sym}) }
		it.text = func(sym disasm.Symbolizer) string {
			mnemonic, operands := inst.Text(va, &arm64.Options{Symbol: sym})
			return strings.TrimSpace(mnemonic + " " + operands)
		}
	}
	return it
}

func (c code) fetch(ctx context.Context) disasm.Fetch {
	return func(va uint64, p []byte) int {
		n, err := c.space.Read(va, p)
		if err == nil || c.module == nil || !c.module.Contains(va+uint64(n)) {
			return n
		}
		more, _ := c.module.FunctionTable(ctx).ReadRVA(uint32(va+uint64(n)-c.module.Base), p[n:])
		return n + max(more, 0)
	}
}

func (c code) mode() disasm.Mode {
	if c.machine == machineX86 || c.module != nil && c.module.WOW64 {
		return disasm.Mode32
	}
	return disasm.Mode64
}

// Bounds of a function's text.
const (
	maxFunction  = 64 << 10 // bytes
	maxBefore    = 32 << 10 // bytes in front of the address asked for
	maxFragments = 64       // pieces that unwind data chains
	noBounds     = 0x400    // bytes shown where nothing tells the end
)

// bounds returns the range of the function that va lies in: by unwind data,
// else by the symbols around it.
func (c code) bounds(ctx context.Context, va uint64) (start, end uint64) {
	start, end = va, va+noBounds
	if c.module == nil {
		return start, end
	}
	if c.module.WOW64 || c.machine == machineX86 || c.machine == machineARM64 {
		return c.symbolBounds(ctx, va)
	}
	base, rva := c.module.Base, uint32(va-c.module.Base)
	table := c.module.FunctionTable(ctx)
	f, found, err := table.Lookup(rva)
	if err != nil || !found {
		return c.symbolBounds(ctx, va)
	}
	first := f
	if p, err := table.Primary(f); err == nil && p.Begin <= f.Begin {
		first = p
	}
	start, end = base+uint64(first.Begin), base+uint64(f.End)
	// A function is often described in pieces, one behind the other.
	for range maxFragments {
		g, found, err := table.Lookup(uint32(end - base))
		if err != nil || !found || base+uint64(g.Begin) != end || g.End <= g.Begin {
			break
		}
		if p, err := table.Primary(g); err != nil || p.Begin != first.Begin {
			break
		}
		end = base + uint64(g.End)
	}
	if va-start > maxBefore {
		start = base + uint64(f.Begin)
	}
	if va < start || va >= end || va-start > maxBefore {
		return va, va + noBounds
	}
	return start, min(end, start+maxFunction)
}

func (c code) symbolBounds(ctx context.Context, va uint64) (start, end uint64) {
	start, end = va, va+noBounds
	t := c.module.Symbols(ctx)
	rva := uint32(va - c.module.Base)
	if sym, off, ok := t.Nearest(rva); ok && off < noBounds {
		start = c.module.Base + uint64(sym.RVA)
	}
	if next, ok := t.Next(rva); ok {
		end = min(end, c.module.Base+uint64(next.RVA))
	}
	return start, max(end, va+1)
}

// walk yields the instructions from start on until end; va, when it lies
// between, always begins one.
func (c code) walk(ctx context.Context, start, end, va uint64, yield func(item) bool) {
	for at := start; at < end && ctx.Err() == nil; {
		it := c.at(ctx, at)
		next := it.next
		if next <= at || !yield(it) {
			return
		}
		if at < va && va < next {
			next = va
		}
		at = next
	}
}

// firstLine is the line of a function's first instruction in its text.
const firstLine = 2

// A textKey names the code that a line of a text was counted for.
type textKey struct {
	module *windows.Module
	va     uint64
}

// textLine returns the line of an instruction in its function's text. Threads
// wait in few places, so lines are kept.
func (t *target) textLine(ctx context.Context, c code, va uint64) int {
	key := textKey{c.module, va}
	if line, ok := t.lines.Load(key); ok {
		return line.(int)
	}
	start, end := c.bounds(ctx, va)
	line := firstLine
	c.walk(ctx, start, end, va, func(it item) bool {
		if it.Addr >= va {
			return false
		}
		line++
		return true
	})
	if c.module != nil && ctx.Err() == nil {
		t.lines.Store(key, line)
	}
	return line
}

func onSourceFunction(_ *client, ctx context.Context, t *target, p PlaceParams) (any, error) {
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	va := uint64(p.Address)
	c := t.code(sp, va)
	start, end := c.bounds(ctx, va)
	r := SourceResult{Name: functionName(ctx, c, start)}
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", r.Name)
	names := sp.symbolizer(ctx)
	line := firstLine
	c.walk(ctx, start, end, va, func(it item) bool {
		mark := "   "
		if it.Addr == va {
			mark, r.Line = "=> ", line
		}
		fmt.Fprintf(&b, "%s%s\n", mark, it.line(names))
		line++
		return true
	})
	r.Text = b.String()
	return r, ctx.Err()
}

// functionName names a function by its symbol, without an offset where it has one.
func functionName(ctx context.Context, c code, start uint64) string {
	if c.module == nil {
		return fmt.Sprintf("%#x", start)
	}
	p := c.module.SymbolAt(ctx, start)
	if p.Outside {
		return fmt.Sprintf("%s+%#x", c.module.Name, start-c.module.Base)
	}
	return p.String()
}

// maxInstructions bounds one disassembly.
const maxInstructions = 10000

func onDisassemble(_ *client, ctx context.Context, t *target, p DisassembleParams) (any, error) {
	if p.Count < 0 || p.Count > maxInstructions || p.Offset < -maxInstructions || p.Offset > maxInstructions {
		return nil, fmt.Errorf("%d instructions from %d on: at most %d are given at once", p.Count, p.Offset, maxInstructions)
	}
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	l := disassembly{ctx: ctx, t: t, sp: sp}
	if p.Symbols {
		l.names = sp.symbolizer(ctx)
	}
	r := DisassembleResult{Instructions: []Instruction{}}
	at := uint64(p.Address)
	if p.Offset < 0 {
		before := l.before(at, -p.Offset)
		// Fewer come before the address when it has no more code in front.
		r.Instructions = append(r.Instructions, before[:min(len(before), p.Count)]...)
	} else {
		for range p.Offset {
			at = l.at(at).next
		}
	}
	for len(r.Instructions) < p.Count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		it := l.at(at)
		r.Instructions = append(r.Instructions, l.instruction(it))
		at = it.next
	}
	return r, nil
}

// A disassembly makes the instructions of one answer.
type disassembly struct {
	ctx   context.Context
	t     *target
	sp    space
	names disasm.Symbolizer // nil for none
}

func (l *disassembly) at(va uint64) item { return l.t.code(l.sp, va).at(l.ctx, va) }

// before returns n instructions that end at va, the nearest last. Code is
// followed from the function's start where va lies in one, for instructions
// have no beginning that could be seen from behind.
func (l *disassembly) before(va uint64, n int) []Instruction {
	var out []Instruction // from va backward
	for at := va; len(out) < n && l.ctx.Err() == nil; {
		c := l.t.code(l.sp, at-1)
		start, _ := c.bounds(l.ctx, at-1)
		var run []item
		c.walk(l.ctx, start, at, at, func(it item) bool {
			run = append(run, it)
			return true
		})
		if len(run) == 0 {
			break
		}
		if run[len(run)-1].next > at || start == at-1 {
			// Not a function's code: search for a start that leads to here.
			run = l.search(c, at, n-len(out))
		}
		for i := len(run) - 1; i >= 0 && len(out) < n; i-- {
			out = append(out, l.instruction(run[i]))
			at = run[i].Addr
		}
	}
	for len(out) < n { // the start of the address space
		out = append(out, Instruction{Text: "??", Invalid: true})
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func (l *disassembly) search(c code, at uint64, n int) []item {
	if c.machine == machineARM64 {
		return []item{l.at(at - armWidth)}
	}
	addrs, ok := disasm.Before(c.mode(), c.fetch(l.ctx), at, min(n, 16))
	if !ok {
		return []item{{Addr: at - 1, State: disasm.Undefined}}
	}
	var out []item
	for _, a := range addrs {
		out = append(out, l.at(a))
	}
	return out
}

func (l *disassembly) instruction(it item) Instruction {
	in := Instruction{Address: Hex(it.Addr), Bytes: hex.EncodeToString(it.Code)}
	switch it.State {
	case disasm.Decoded:
		in.Text = it.text(l.names)
	case disasm.Unreadable:
		in.Text, in.Invalid = "??", true
		if _, err := l.sp.space.Read(it.Addr, make([]byte, 1)); err != nil {
			in.Text = "?? " + err.Error()
		}
	default:
		in.Text, in.Invalid = "???", true
	}
	m := l.sp.modules.Find(it.Addr)
	if m == nil {
		return in
	}
	if l.names != nil {
		if p := m.SymbolAt(l.ctx, it.Addr); !p.Outside {
			in.Symbol = p.String()
			in.File, in.Line = p.File, p.Line
		}
	}
	return in
}
