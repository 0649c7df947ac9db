package amd64_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/internal/truth"
)

// The tests in this file run real functions on an emulator that knows just
// enough instructions to keep track of the stack, and unwind at every instruction:
// each Step must give back the state that the function was called with. The truth
// is the code that compilers wrote, not their unwind data.

const (
	stackTop  = 0x7fff_0000_0000
	stackSize = 1 << 16
	returnTo  = 0x1122_3344_5566
)

// An emulator holds a processor and its stack, over the memory of an image.
type emulator struct {
	c       amd64.Context
	start   amd64.Context
	stack   []byte // ends at stackTop
	img     memory.Space
	garbage uint64
}

func newEmulator(img memory.Space) *emulator {
	e := &emulator{img: img, stack: make([]byte, stackSize)}
	for i := range e.c.GPR {
		e.c.GPR[i] = 0xc0de_0000_0000_0000 + uint64(i)
	}
	e.c.GPR[amd64.RSP] = stackTop - 0x1008
	e.store(e.c.SP(), returnTo)
	e.start = e.c
	return e
}

func (e *emulator) slot(va uint64) []byte {
	off := va - (stackTop - stackSize)
	if off > stackSize-8 {
		return nil
	}
	return e.stack[off : off+8]
}

func (e *emulator) store(va, v uint64) {
	if b := e.slot(va); b != nil {
		binary.LittleEndian.PutUint64(b, v)
	}
}

func (e *emulator) Read(va uint64, p []byte) (int, error) {
	if off := va - (stackTop - stackSize); off < stackSize {
		n := copy(p, e.stack[off:])
		if n < len(p) {
			return n, &memory.ReadError{Addr: va + uint64(n), Kind: memory.NotValid}
		}
		return n, nil
	}
	return e.img.Read(va, p)
}

func (e *emulator) junk() uint64 {
	e.garbage += 0x9e3779b97f4a7c15
	return e.garbage | 1<<62
}

// regIndex maps x86asm's general registers of any width to numbers.
func regIndex(a x86asm.Arg) (n int, wide, ok bool) {
	r, is := a.(x86asm.Reg)
	switch {
	case !is:
	case r >= x86asm.RAX && r <= x86asm.R15:
		return int(r - x86asm.RAX), true, true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return int(r - x86asm.EAX), false, true
	}
	return 0, false, false
}

func (e *emulator) ea(m x86asm.Mem) (uint64, bool) {
	n, wide, ok := regIndex(m.Base)
	if !ok || !wide || m.Index != 0 || m.Segment != 0 && m.Segment != x86asm.SS && m.Segment != x86asm.DS {
		return 0, false
	}
	return e.c.GPR[n] + uint64(m.Disp), true
}

// value returns what an operand is, when the emulator knows.
func (e *emulator) value(a x86asm.Arg) (uint64, bool) {
	if imm, ok := a.(x86asm.Imm); ok {
		return uint64(imm), true
	}
	if n, wide, ok := regIndex(a); ok {
		if !wide {
			return uint64(uint32(e.c.GPR[n])), true
		}
		return e.c.GPR[n], true
	}
	if m, ok := a.(x86asm.Mem); ok {
		if va, ok := e.ea(m); ok {
			if b := e.slot(va); b != nil {
				return binary.LittleEndian.Uint64(b), true
			}
		}
	}
	return 0, false
}

// step runs one instruction. It returns false at one that ends the function.
func (e *emulator) step(in x86asm.Inst) bool {
	dst, wide, isReg := regIndex(in.Args[0])
	mem, isMem := in.Args[0].(x86asm.Mem)
	switch in.Op {
	case x86asm.PUSH:
		v, _ := e.value(in.Args[0])
		e.c.GPR[amd64.RSP] -= 8
		e.store(e.c.SP(), v)
	case x86asm.POP:
		v, _ := e.value(x86asm.Mem{Base: x86asm.RSP})
		e.c.GPR[amd64.RSP] += 8
		e.c.GPR[dst] = v
	case x86asm.RET, x86asm.JMP, x86asm.UD2, x86asm.INT:
		return false
	case x86asm.SUB, x86asm.ADD:
		v, ok := e.value(in.Args[1])
		switch {
		case isReg && wide && ok && in.Op == x86asm.SUB:
			e.c.GPR[dst] -= v
		case isReg && wide && ok:
			e.c.GPR[dst] += v
		case isReg:
			e.c.GPR[dst] = e.junk()
		}
	case x86asm.MOV:
		v, ok := e.value(in.Args[1])
		if isReg {
			if !ok {
				v = e.junk()
			}
			e.c.GPR[dst] = v
		} else if va, known := e.ea(mem); isMem && known {
			if _, wide, reg := regIndex(in.Args[1]); reg && wide {
				e.store(va, v)
			} else if e.slot(va) != nil && in.MemBytes == 8 {
				e.store(va, e.junk())
			}
		}
	case x86asm.LEA:
		m, _ := in.Args[1].(x86asm.Mem)
		va, ok := e.ea(m)
		if !ok {
			va = e.junk()
		}
		e.c.GPR[dst] = va
	case x86asm.CALL, x86asm.CMP, x86asm.TEST:
	default:
		if isReg {
			e.c.GPR[dst] = e.junk()
		}
	}
	return true
}

// nonvolatile are the registers that a function gives back as it got them.
var nonvolatile = []int{amd64.RBX, amd64.RSP, amd64.RBP, amd64.RSI, amd64.RDI, amd64.R12, amd64.R13, amd64.R14, amd64.R15}

// check unwinds from where the emulator stands and compares with the caller.
func (e *emulator) check(t *amd64.FunctionTable) (amd64.StepResult, error) {
	want := e.start
	want.GPR[amd64.RSP] += 8
	got := e.c
	r, err := amd64.Step(&got, e, t)
	if err != nil {
		return r, err
	}
	if got.RIP != returnTo {
		return r, fmt.Errorf("returns to %#x", got.RIP)
	}
	for _, i := range nonvolatile {
		if got.GPR[i] != want.GPR[i] {
			return r, fmt.Errorf("register %d is %#x, want %#x", i, got.GPR[i], want.GPR[i])
		}
	}
	return r, nil
}

// run emulates the function f, checking at every instruction up to its end, or that
// of its prolog. After a return the code goes on as it did behind the prolog.
func run(img memory.Space, base uint64, t *amd64.FunctionTable, f amd64.RuntimeFunction, u *amd64.UnwindInfo, prologOnly bool) (checks, epilogs int, err error) {
	e := newEmulator(img)
	e.c.RIP = base + uint64(f.Begin)
	end := base + uint64(f.End)
	if prologOnly {
		end = base + uint64(f.Begin) + uint64(u.PrologSize)
	}
	var body *amd64.Context
	for e.c.RIP < end || prologOnly && e.c.RIP == end {
		if body == nil && e.c.RIP >= base+uint64(f.Begin)+uint64(u.PrologSize) {
			c := e.c
			body = &c
		}
		r, err := e.check(t)
		if err != nil {
			return checks, epilogs, fmt.Errorf("at RVA %#x: %w (%+v)", e.c.RIP-base, err, r)
		}
		checks++
		if r.InEpilog {
			epilogs++
		}
		if prologOnly && e.c.RIP == end {
			break
		}
		var code [16]byte
		n, _ := img.Read(e.c.RIP, code[:])
		in, derr := x86asm.Decode(code[:n], 64)
		if derr != nil {
			return checks, epilogs, nil // an instruction the decoder does not know: as far as it goes
		}
		e.c.RIP += uint64(in.Len)
		if !e.step(in) {
			if body == nil {
				return checks, epilogs, nil
			}
			rip := e.c.RIP
			e.c = *body
			e.c.RIP = rip
		}
	}
	return checks, epilogs, nil
}

// imageSpace is a memory.Space over an image file at its preferred base.
type imageSpace struct{ img *pe.Image }

func (s imageSpace) Read(va uint64, p []byte) (int, error) {
	n := 0
	for n < len(p) && va+uint64(n)-s.img.Base() < uint64(s.img.SizeOfImage) {
		if _, err := s.img.ReadRVA(uint32(va+uint64(n)-s.img.Base()), p[n:n+1]); err != nil {
			break
		}
		n++
	}
	if n < len(p) {
		return n, &memory.ReadError{Addr: va + uint64(n), Kind: memory.NotValid}
	}
	return n, nil
}

func sharedImages(t testing.TB) map[string]*pe.Image {
	out := map[string]*pe.Image{}
	dir := filepath.Join(truth.Dir(t), "symbols")
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".exe", ".dll", ".sys":
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			im, err := pe.Open(path)
			if err != nil {
				t.Error(err)
				return nil
			}
			t.Cleanup(func() { im.Close() })
			if im.Machine == pe.MachineAMD64 {
				out[path] = im
			}
		}
		return nil
	})
	if len(out) == 0 {
		t.Skip("no images in ", dir)
	}
	return out
}

func TestEmulatedFunctions(t *testing.T) {
	functions, checks, epilogs := 0, 0, 0
	for path, im := range sharedImages(t) {
		table := amd64.NewFunctionTable(im.Base(), im, nil)
		n, _ := table.Len()
		for i := range n {
			f, err := table.Entry(i)
			if err != nil {
				t.Fatal(err)
			}
			u, err := table.Info(f)
			if err != nil {
				t.Fatal(err)
			}
			if u.Flags&amd64.UnwindChained != 0 {
				continue // does not start with a call
			}
			c, ep, err := run(imageSpace{im}, im.Base(), table, f, u, false)
			if err != nil {
				t.Errorf("%s, function at %#x: %v", filepath.Base(path), f.Begin, err)
			}
			functions++
			checks += c
			epilogs += ep
		}
	}
	t.Logf("%d functions, %d instructions, %d of them in epilogs", functions, checks, epilogs)
}

// TestEmulatedKernelPrologs does so with the prologs of the reference dump's kernel,
// whose other code is not real.
func TestEmulatedKernelPrologs(t *testing.T) {
	lab := readTruth(t)
	kernel, _ := spaces(openLab(t, "lab19041"), lab)
	base := uint64(lab.System.KernelBase)
	im, err := pe.FromMemory(kernel, base)
	if err != nil {
		t.Fatal(err)
	}
	table := amd64.NewFunctionTable(base, im, nil)
	n, err := table.Len()
	if err != nil {
		t.Fatal(err)
	}
	ops := map[amd64.UnwindOp]int{}
	seen := map[*amd64.UnwindInfo]int{}
	functions, checks := 0, 0
next:
	for i := range n {
		f, err := table.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		u, err := table.Info(f)
		if err != nil {
			t.Fatal(i, err)
		}
		for _, c := range u.Codes {
			ops[c.Op]++
			if c.Op == amd64.OpPushMachFrame {
				continue next
			}
		}
		if u.Flags&amd64.UnwindChained != 0 || seen[u] > 20 {
			continue
		}
		seen[u]++ // many functions share their unwind data
		c, _, err := run(kernel, base, table, f, u, true)
		if err != nil {
			t.Errorf("function at %#x: %v", f.Begin, err)
		}
		functions++
		checks += c
	}
	t.Logf("%d of %d functions, %d instructions, operations %v", functions, n, checks, ops)
}
