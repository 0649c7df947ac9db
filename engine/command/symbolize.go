package command

import (
	"context"
	"fmt"

	"kdap/engine/windows"
)

// place names an address, loading the symbols of the module that holds it;
// false for addresses in no module.
func (s *Session) place(ctx context.Context, va uint64) (windows.Place, bool) {
	m := s.moduleSet(ctx).Find(va)
	if m == nil {
		return windows.Place{}, false
	}
	return m.PlaceIn(s.symbolsOf(ctx, m), va), true
}

// symbolText names an address as most commands do: "nt!KeBugCheckEx+0x5",
// "i8042prt+0x3b8e" without symbols, "<Unloaded_x.sys>+0x10" in a driver that
// is gone; "" when nothing is known.
func (s *Session) symbolText(ctx context.Context, va uint64) string {
	if p, ok := s.place(ctx, va); ok {
		return placeText(p, va)
	}
	for d, err := range s.sys.UnloadedDrivers() {
		if err == nil && va >= d.Start && va < d.End {
			return plusOffset("<Unloaded_"+d.Name+">", va-d.Start)
		}
	}
	return ""
}

func placeText(p windows.Place, va uint64) string {
	if p.Outside {
		// The symbol is only the nearest: the address is in no part of the
		// image that has symbols.
		return fmt.Sprintf("%s!%s <PERF> (%s+%#x)", p.Module.Name, p.Name, p.Module.Name, va-p.Module.Base)
	}
	name := p.Module.Name
	if p.Name != "" {
		name += "!" + p.Name
	}
	return plusOffset(name, p.Offset)
}

func plusOffset(name string, off uint64) string {
	if off == 0 {
		return name
	}
	return fmt.Sprintf("%s+%#x", name, off)
}

// sourceSuffix is what follows a symbol when source lines are on:
// " [file @ line]".
func (s *Session) sourceSuffix(p windows.Place) string {
	if !s.settings.lines || p.File == "" {
		return ""
	}
	return fmt.Sprintf(" [%s @ %d]", p.File, p.Line)
}
