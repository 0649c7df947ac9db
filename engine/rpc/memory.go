package rpc

import (
	"context"
	"errors"
	"fmt"

	"kdap/engine/arch/amd64/disasm"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// A space is a process's memory with its modules.
type space struct {
	space   memory.Space
	modules *windows.ModuleSet
	process Hex
}

// space returns the memory of the process at an _EPROCESS address, 0 for the
// kernel's own.
func (t *target) space(ctx context.Context, process Hex) (space, error) {
	if process == 0 {
		return space{t.System.Kernel(), t.System.KernelModules(ctx), 0}, nil
	}
	p := t.System.Process(uint64(process))
	if !p.IsProcess() && !t.System.Paged() {
		// A small dump has one memory for all, and not every process it names.
		return space{t.System.Kernel(), t.System.KernelModules(ctx), 0}, nil
	}
	if !p.IsProcess() {
		return space{}, fmt.Errorf("no process at %v", process)
	}
	sp, err := p.Space()
	if err != nil {
		return space{}, err
	}
	return space{sp, p.Modules(ctx), process}, nil
}

// symbolizer names addresses that lie in modules.
func (s space) symbolizer(ctx context.Context) disasm.Symbolizer {
	return func(va uint64) (string, bool) {
		m := s.modules.Find(va)
		if m == nil {
			return "", false
		}
		p := m.SymbolAt(ctx, va)
		if p.Outside {
			return fmt.Sprintf("%s+%#x", m.Name, va-m.Base), true
		}
		return p.String(), true
	}
}

func (s space) name(ctx context.Context, va uint64) string {
	text, _ := s.symbolizer(ctx)(va)
	return text
}

// maxRead bounds one read.
const maxRead = 4 << 20

func onMemoryRead(_ *client, ctx context.Context, t *target, p ReadParams) (any, error) {
	if p.Count < 0 || p.Count > maxRead {
		return nil, fmt.Errorf("%d bytes: at most %d are read at once", p.Count, maxRead)
	}
	sp, err := t.space(ctx, p.Process)
	if err != nil {
		return nil, err
	}
	va := uint64(p.Address)
	data, err := memory.ReadBytes(sp.space, va, p.Count)
	r := ReadResult{Data: data}
	if err != nil {
		r.Gap, r.Reason = gap(sp.space, va, len(data), p.Count, err), err.Error()
	}
	return r, ctx.Err()
}

// gap returns how many bytes behind the first have are unreadable, of count.
func gap(s memory.Space, va uint64, have, count int, err error) int {
	at := uint64(have)
	for at < uint64(count) {
		var e *memory.ReadError
		if !errors.As(err, &e) {
			return count - have
		}
		step := max(e.Span, 1)
		if a := va + at; e.Span > 1 {
			step = e.Span - a%e.Span
		}
		if at += step; at >= uint64(count) {
			break
		}
		if _, err = s.Read(va+at, make([]byte, 1)); err == nil {
			return int(at) - have
		}
	}
	return count - have
}
