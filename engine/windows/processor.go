package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/arch/amd64"
	"kdap/engine/memory"
	"kdap/engine/types"
)

// maxProcessors is the most processors Windows supports and debuggers accept.
const maxProcessors = 2048

// A Processor is a view over one _KPRCB.
type Processor struct {
	sys    *System
	number int
	prcb   types.Object
}

// Processors yields the processors in order of their numbers (nt!KiProcessorBlock).
func (s *System) Processors(ctx context.Context) iter.Seq2[Processor, error] {
	return func(yield func(Processor, error) bool) {
		for i := range s.ProcessorCount() {
			if err := ctx.Err(); err != nil {
				yield(Processor{}, err)
				return
			}
			if !yield(s.Processor(i)) {
				return
			}
		}
	}
}

// ProcessorCount returns the number of processors the dump claims, within
// what Windows supports.
func (s *System) ProcessorCount() int {
	return int(min(s.dump.Header.NumberProcessors, maxProcessors))
}

// Processor returns processor n.
func (s *System) Processor(n int) (Processor, error) {
	if n < 0 || n >= s.ProcessorCount() {
		return Processor{}, fmt.Errorf("%d is not a valid processor number", n)
	}
	addr, err := s.prcbAddr(n)
	if err != nil {
		return Processor{}, fmt.Errorf("processor %d: %w", n, err)
	}
	return Processor{sys: s, number: n, prcb: s.Struct("_KPRCB", addr)}, nil
}

func (s *System) prcbAddr(n int) (uint64, error) {
	if addr, ok := s.triagePrcb(n); ok {
		return addr, nil
	}
	block, err := s.Symbol("KiProcessorBlock")
	if err != nil {
		if s.kdbg == nil || s.kdbg.KiProcessorBlock == 0 {
			return 0, err
		}
		block = s.kdbg.KiProcessorBlock
	}
	addr, err := memory.ReadUint(s.Kernel(), block+8*uint64(n), 8)
	if err == nil && addr == 0 {
		err = fmt.Errorf("KiProcessorBlock[%d] is null", n)
	}
	return addr, err
}

// Number returns the processor's number.
func (c Processor) Number() int { return c.number }

// Addr returns the address of the _KPRCB.
func (c Processor) Addr() uint64 { return c.prcb.Addr() }

// Object returns the _KPRCB itself.
func (c Processor) Object() types.Object { return c.prcb }

// field reads a pointer-sized member, by symbols or by the offset the KDBG names.
func (c Processor) field(name string, kdbgOff uint16) (uint64, error) {
	return c.sys.member(c.prcb, name, kdbgOff, 8)
}

// CurrentThread returns the address of the _ETHREAD that runs.
func (c Processor) CurrentThread() (uint64, error) {
	return c.field("CurrentThread", c.sys.offsets().PrcbCurrentThread)
}

// NextThread returns the thread selected to run next, 0 for none.
func (c Processor) NextThread() (uint64, error) { return c.field("NextThread", 0) }

// IdleThread returns the address of the processor's idle thread.
func (c Processor) IdleThread() (uint64, error) {
	return c.field("IdleThread", c.sys.offsets().PrcbIdleThread)
}

// KPCR returns the address of the _KPCR that holds the block.
func (c Processor) KPCR() (uint64, error) {
	t, err := c.sys.Type("_KPCR")
	if err != nil {
		if off := c.sys.offsets().PcrContainedPrcb; off != 0 {
			return c.Addr() - uint64(off), nil
		}
		return 0, err
	}
	f := t.Field("Prcb")
	if f == nil {
		return 0, &types.NoFieldError{Type: t.Name, Field: "Prcb"}
	}
	return c.Addr() - f.Offset, nil
}

// Context returns the processor's registers as saved at the crash: the CONTEXT
// the PRCB points at, else its ProcessorState.
func (c Processor) Context() (*amd64.Context, error) {
	if err := c.sys.checkMachine(); err != nil {
		return nil, err
	}
	b, err := c.contextRecord(amd64.ContextSize)
	if err != nil {
		return nil, err
	}
	return amd64.ParseContext(b)
}

// contextRecord returns the bytes of the context record at the crash.
func (c Processor) contextRecord(size int) ([]byte, error) {
	ptr, err := c.field("Context", c.sys.offsets().PrcbContext)
	if err == nil && ptr != 0 {
		if b, cerr := memory.ReadBytes(c.sys.Kernel(), ptr, size); cerr == nil {
			return b, nil
		}
	}
	frame := c.prcb.Field("ProcessorState.ContextFrame")
	addr := frame.Addr()
	if frame.Err() != nil {
		off := c.sys.offsets().PrcbProcStateContext
		if off == 0 {
			return nil, fmt.Errorf("context of processor %d: %w", c.number, frame.Err())
		}
		addr = c.Addr() + uint64(off)
	}
	b, err := memory.ReadBytes(c.sys.Kernel(), addr, size)
	if err != nil {
		return nil, fmt.Errorf("context of processor %d: %w", c.number, err)
	}
	return b, nil
}
