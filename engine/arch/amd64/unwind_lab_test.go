package amd64_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/pe"
	"kdap/internal/truth"
)

// stackTruth is the part of lab19041.json about threads and modules.
type stackTruth struct {
	System struct {
		Processors []struct {
			KPRCB         hexInt
			CurrentThread hexInt `json:"current_thread"`
			RIP, RSP      hexInt
		}
		Crash struct{ Stack []frameTruth }
	}
	Holes     []struct{ VA hexInt }
	Modules   []moduleTruth
	Processes []struct {
		Name    string
		PID     int
		Dirbase hexInt
		Modules []moduleTruth
		Threads []struct {
			Ethread             hexInt
			State               int
			KernelStack         hexInt
			KernelStackResident bool
			Stack               []frameTruth
		}
	}
}

type frameTruth struct {
	ChildSP, Ret, TrapFrame hexInt
	Symbol                  string
}

type moduleTruth struct {
	Name      string
	Base      hexInt
	Size      uint64
	Timestamp uint32
}

// A walker finds function tables for the frames of one process.
type walker struct {
	t      testing.TB
	space  memory.Space
	mods   []moduleTruth
	tables map[uint64]*amd64.FunctionTable
	holes  map[uint64]bool // page numbers
}

func newWalker(t testing.TB, space memory.Space, mods ...[]moduleTruth) *walker {
	w := &walker{t: t, space: space, tables: map[uint64]*amd64.FunctionTable{}}
	for _, m := range mods {
		w.mods = append(w.mods, m...)
	}
	return w
}

func (w *walker) table(rip uint64) *amd64.FunctionTable {
	for _, m := range w.mods {
		base := uint64(m.Base)
		if rip < base || rip-base >= m.Size {
			continue
		}
		if t := w.tables[base]; t != nil {
			return t
		}
		img, err := pe.FromMemory(w.space, base)
		if err != nil {
			img = nil
		}
		t := amd64.NewFunctionTable(base, img, func() *pe.Image {
			path := filepath.Join(truth.Dir(w.t), "symbols", m.Name, fmt.Sprintf("%08X%x", m.Timestamp, m.Size), m.Name)
			f, err := pe.Open(path)
			if err != nil {
				return nil
			}
			w.t.Cleanup(func() { f.Close() })
			return f
		})
		w.tables[base] = t
		return t
	}
	return nil
}

// walk leaves frame after frame and compares each with the truth.
func (w *walker) walk(ctx *amd64.Context, want []frameTruth) error {
	for i, f := range want {
		if ctx.SP() != uint64(f.ChildSP) {
			return fmt.Errorf("frame %d %s: sp %#x, want %#x", i, f.Symbol, ctx.SP(), f.ChildSP)
		}
		r, err := amd64.Step(ctx, w.space, w.table(ctx.RIP))
		var missing *memory.ReadError
		if errors.As(err, &missing) && w.holes[missing.Addr/memory.PageSize] {
			return nil // a page that is missing on purpose ends the walk
		}
		ret := ctx.RIP
		if err != nil {
			ret = 0
		}
		if ret != uint64(f.Ret) {
			return fmt.Errorf("frame %d %s: ret %#x, want %#x (%+v, %v)", i, f.Symbol, ret, f.Ret, r, err)
		}
		if f.TrapFrame != 0 && amd64.DefaultTrapFrame.TrapFrameAt(r) != uint64(f.TrapFrame) {
			return fmt.Errorf("frame %d %s: trap frame %#x, want %#x", i, f.Symbol, amd64.DefaultTrapFrame.TrapFrameAt(r), f.TrapFrame)
		}
		if r.DataErr != nil {
			return fmt.Errorf("frame %d %s: %w", i, f.Symbol, r.DataErr)
		}
	}
	return nil
}

// kprcbContext is the offset of _KPRCB.Context in the lab's kernel.
const kprcbContext = 0x85c0

// TestLabStacks walks the stack of every thread whose kernel stack is there.
func TestLabStacks(t *testing.T) {
	var lab stackTruth
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	for _, name := range []string{"lab19041", "lab_f"} {
		t.Run(name, func(t *testing.T) {
			f := openLab(t, name)
			tr := amd64.NewPaging(amd64.PagingOptions{})
			kernel := memory.NewAddressSpace(f, tr, amd64.CleanDTB(f.Header.DirectoryTableBase), nil)
			frames, threads := 0, 0
			for _, p := range lab.Processes {
				space := memory.NewAddressSpace(f, tr, amd64.CleanDTB(uint64(p.Dirbase)), kernel)
				w := newWalker(t, space, lab.Modules, p.Modules)
				w.holes = map[uint64]bool{}
				for _, h := range lab.Holes {
					w.holes[uint64(h.VA)/memory.PageSize] = true
				}
				for _, th := range p.Threads {
					if !th.KernelStackResident {
						continue
					}
					ctx, err := amd64.ReadSwitchFrame(space, uint64(th.KernelStack), amd64.DefaultSwitchFrame)
					if th.State == 2 {
						ctx, err = processorContext(space, &lab, uint64(th.Ethread))
					}
					if ctx == nil && err == nil {
						continue // an idle thread whose processor runs another: no context anywhere
					}
					if err == nil {
						err = w.walk(ctx, th.Stack)
					}
					if err != nil {
						t.Errorf("%s, thread %#x: %v", p.Name, th.Ethread, err)
						continue
					}
					threads++
					frames += len(th.Stack)
				}
			}
			t.Logf("%d threads, %d frames as in the truth", threads, frames)
			if threads < 100 {
				t.Errorf("only %d threads", threads)
			}
		})
	}
}

// processorContext reads the context of the processor that runs a thread; nil when
// none does.
func processorContext(space memory.Space, lab *stackTruth, thread uint64) (*amd64.Context, error) {
	for _, p := range lab.System.Processors {
		if uint64(p.CurrentThread) != thread {
			continue
		}
		at, err := memory.ReadUint(space, uint64(p.KPRCB)+kprcbContext, 8)
		if err != nil {
			return nil, err
		}
		b, err := memory.ReadBytes(space, at, amd64.ContextSize)
		if err != nil {
			return nil, err
		}
		c, err := amd64.ParseContext(b)
		if err == nil && (c.RIP != uint64(p.RIP) || c.SP() != uint64(p.RSP)) {
			err = fmt.Errorf("context: rip %#x rsp %#x, want %#x %#x", c.RIP, c.SP(), p.RIP, p.RSP)
		}
		return c, err
	}
	return nil, nil
}

// BenchmarkLabStacks walks all waiting threads of the lab dump.
func BenchmarkLabStacks(b *testing.B) {
	var lab stackTruth
	truth.JSON(b, &lab, "dumps", "lab19041.json")
	f := openLab(b, "lab19041")
	tr := amd64.NewPaging(amd64.PagingOptions{})
	kernel := memory.NewAddressSpace(f, tr, amd64.CleanDTB(f.Header.DirectoryTableBase), nil)
	w := newWalker(b, kernel, lab.Modules)
	var start []amd64.Context
	for _, p := range lab.Processes {
		for _, th := range p.Threads {
			if ctx, err := amd64.ReadSwitchFrame(kernel, uint64(th.KernelStack), amd64.DefaultSwitchFrame); err == nil && th.State == 5 {
				start = append(start, *ctx)
			}
		}
	}
	b.ReportAllocs()
	steps := 0
	for b.Loop() {
		for _, ctx := range start {
			for ctx.RIP>>63 != 0 {
				if _, err := amd64.Step(&ctx, kernel, w.table(ctx.RIP)); err != nil {
					break
				}
				steps++
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
}

// The layout in dump headers and that of the CONTEXT type agree.
func TestLabHeaderContext(t *testing.T) {
	var lab stackTruth
	truth.JSON(t, &lab, "dumps", "lab19041.json")
	f := openLab(t, "lab19041")
	at := uint64(0x348) // DUMP_HEADER64.ContextRecord
	b, err := f.At(at, amd64.ContextSize)
	if err != nil {
		t.Fatal(err)
	}
	c, err := amd64.ParseContext(b)
	if err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint64(b[0xf8:]) != c.RIP || bytes.Equal(b, make([]byte, len(b))) {
		t.Error("empty context")
	}
	tr := amd64.NewPaging(amd64.PagingOptions{})
	kernel := memory.NewAddressSpace(f, tr, amd64.CleanDTB(f.Header.DirectoryTableBase), nil)
	if err := newWalker(t, kernel, lab.Modules).walk(c, lab.System.Crash.Stack); err != nil {
		t.Error(err)
	}
}
