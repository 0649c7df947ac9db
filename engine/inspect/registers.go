package inspect

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"kdap/engine/arch"
	"kdap/engine/arch/amd64"
	"kdap/engine/arch/x86"
)

var generalRegisters = []string{
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rip", "rsp", "rbp",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
}

// unwindNumber is how amd64.Context.Unknown numbers the general registers.
var unwindNumber = map[string]int{
	"rax": amd64.RAX, "rcx": amd64.RCX, "rdx": amd64.RDX, "rbx": amd64.RBX, "rsp": amd64.RSP, "rbp": amd64.RBP,
	"rsi": amd64.RSI, "rdi": amd64.RDI, "r8": amd64.R8, "r9": amd64.R9, "r10": amd64.R10, "r11": amd64.R11,
	"r12": amd64.R12, "r13": amd64.R13, "r14": amd64.R14, "r15": amd64.R15,
}

// lowest is the first address that a program can have memory at: smaller
// numbers in registers lead nowhere.
const lowest = 0x10000

// notSaved is shown for registers that a caller's frame does not have.
const notSaved = "<not saved: its value in this frame is not known>"

// Again gives the registers of a frame once more: what is kept open of one
// holds no registers itself.
type Again func(ctx context.Context) (arch.Registers, error)

// Registers returns the registers of a frame: the general ones, flags, and, of
// x64, the rest in groups.
func Registers(regs arch.Registers, again Again) []Node {
	switch r := regs.(type) {
	case *amd64.Context:
		return amd64Registers(r, again)
	case *x86.Context:
		return listed(r, 8, "eax", "ebx", "ecx", "edx", "esi", "edi", "eip", "esp", "ebp", "efl", "cs", "ss", "ds", "es", "fs", "gs")
	}
	names := make([]string, 0, 34)
	for i := range 29 {
		names = append(names, fmt.Sprintf("x%d", i))
	}
	return listed(regs, 16, append(names, "fp", "lr", "sp", "pc", "cpsr")...)
}

func listed(regs arch.Registers, digits int, names ...string) []Node {
	var out []Node
	for _, name := range names {
		n := Node{Name: name, Kind: Data, Expr: "@" + name}
		v, _, ok := regs.Get(name)
		if !ok {
			continue
		}
		n.Text = fmt.Sprintf("0x%0*x", digits, v)
		if v >= lowest {
			n.Target = v
		}
		out = append(out, n)
	}
	return out
}

func amd64Registers(regs *amd64.Context, again Again) []Node {
	var out []Node
	for _, name := range generalRegisters {
		out = append(out, register(regs, name, 16))
	}
	efl, _, _ := regs.Get("efl")
	flags := flagGroup.node(fmt.Sprintf("0x%08x", efl), again)
	flags.Expr, flags.Kind = "@efl", Data
	return append(out, flags, segmentGroup.node("", again), debugGroup.node("", again), sseGroup.node("", again))
}

// A registerGroup are registers of x64 that one line stands for.
type registerGroup struct {
	name   string
	digits int
	names  []string
}

var (
	flagGroup    = &registerGroup{"efl", 1, []string{"iopl", "of", "df", "if", "tf", "sf", "zf", "af", "pf", "cf"}}
	segmentGroup = &registerGroup{"Segments", 4, []string{"cs", "ss", "ds", "es", "fs", "gs"}}
	debugGroup   = &registerGroup{"Debug", 16, []string{"dr0", "dr1", "dr2", "dr3", "dr6", "dr7"}}
	sseGroup     = &registerGroup{"SSE", 32, make([]string, len(amd64.Context{}.XMM))}
)

func (g *registerGroup) node(text string, again Again) Node {
	return Anew(g.name, text, len(g.names), func(ctx context.Context) ([]Node, error) {
		r, err := again(ctx)
		if err != nil {
			return nil, err
		}
		regs, ok := r.(*amd64.Context)
		switch {
		case !ok:
			return nil, fmt.Errorf("%T has no registers of x64", r)
		case g == sseGroup:
			return vectors(regs), nil
		}
		return registers(regs, g.digits, g.names...), nil
	})
}

func vectors(regs *amd64.Context) []Node {
	var out []Node
	for i := range regs.XMM {
		b := slices.Clone(regs.XMM[i][:])
		slices.Reverse(b)
		out = append(out, Node{Name: fmt.Sprintf("xmm%d", i), Text: "0x" + hex.EncodeToString(b), Kind: Data})
	}
	return out
}

func registers(regs *amd64.Context, digits int, names ...string) []Node {
	var out []Node
	for _, name := range names {
		out = append(out, register(regs, name, digits))
	}
	return out
}

func register(regs *amd64.Context, name string, digits int) Node {
	n := Node{Name: name, Kind: Data, Expr: "@" + name}
	if i, ok := unwindNumber[name]; ok && regs.Unknown&(1<<i) != 0 {
		n.Text, n.Unreadable, n.Expr = notSaved, true, ""
		return n
	}
	v, _, ok := regs.Get(name)
	if !ok {
		n.Text, n.Unreadable, n.Expr = notSaved, true, ""
		return n
	}
	n.Text = fmt.Sprintf("0x%0*x", digits, v)
	if digits == 1 {
		n.Text = fmt.Sprint(v)
	}
	if digits == 16 && v >= lowest {
		n.Target = v
	}
	return n
}
