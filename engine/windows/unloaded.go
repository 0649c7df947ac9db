package windows

import (
	"fmt"
	"iter"
	"time"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// An UnloadedDriver is one driver the kernel remembers after unloading it.
type UnloadedDriver struct {
	Name       string
	Start, End uint64 // End is the first byte behind the image
	Time       time.Time
}

// The kernel keeps the last 50 unloaded drivers in a ring at
// nt!MmUnloadedDrivers; nt!MmLastUnloadedDriver counts the slot written next.
// The entry has no public type: UNICODE_STRING Name, start, end, time.
// Source: MM_UNLOADED_DRIVERS as public readers have it; checked on 19041.
const (
	unloadedSlots = 50
	unloadedSize  = 0x28
	unloadedStart = 0x10
	unloadedEnd   = 0x18
	unloadedTime  = 0x20
)

// An unloadedSlot is what was read of an entry.
type unloadedSlot struct {
	driver UnloadedDriver
	err    error
}

// UnloadedDrivers yields the remembered drivers, the last unloaded first; of a
// user minidump the modules it remembers. They are read once: every address
// that no module has is looked for in them.
func (s *System) UnloadedDrivers() iter.Seq2[UnloadedDriver, error] {
	s.unloadedOnce.Do(func() {
		for d, err := range s.readUnloaded() {
			s.unloaded = append(s.unloaded, unloadedSlot{d, err})
		}
	})
	return func(yield func(UnloadedDriver, error) bool) {
		for _, u := range s.unloaded {
			if !yield(u.driver, u.err) {
				return
			}
		}
	}
}

func (s *System) readUnloaded() iter.Seq2[UnloadedDriver, error] {
	return func(yield func(UnloadedDriver, error) bool) {
		if s.user != nil {
			for _, m := range s.user.file.Unloaded {
				if !yield(UnloadedDriver{Name: baseName(m.Name), Start: m.Base, End: m.Base + uint64(m.Size)}, nil) {
					return
				}
			}
			return
		}
		if t := s.triage(); t != nil {
			for _, d := range t.UnloadedDrivers {
				if !yield(UnloadedDriver{Name: d.Name, Start: d.Start, End: d.End}, nil) {
					return
				}
			}
			return
		}
		table, last, err := s.unloadedTable()
		if err != nil {
			yield(UnloadedDriver{}, fmt.Errorf("unloaded drivers: %w", err))
			return
		}
		for i := range uint64(unloadedSlots) {
			if table == 0 {
				return
			}
			d, err := s.unloadedDriver(table + unloadedSize*((last+2*unloadedSlots-1-i)%unloadedSlots))
			if err != nil {
				err = fmt.Errorf("unloaded driver %d: %w", i, err)
			} else if d.Name == "" || d.Start == 0 {
				continue // a slot that was never used
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

func (s *System) unloadedTable() (table, last uint64, err error) {
	ptr, err := s.symbolOr("MmUnloadedDrivers", func(k *KDBG) uint64 { return k.MmUnloadedDrivers })
	if err != nil {
		return 0, 0, err
	}
	if table, err = memory.ReadUint(s.Kernel(), ptr, 8); err != nil {
		return 0, 0, err
	}
	count, err := s.symbolOr("MmLastUnloadedDriver", func(k *KDBG) uint64 { return k.MmLastUnloadedDriver })
	if err != nil {
		return 0, 0, err
	}
	last, err = memory.ReadUint(s.Kernel(), count, 4)
	return table, last % unloadedSlots, err
}

func (s *System) unloadedDriver(addr uint64) (UnloadedDriver, error) {
	var b [unloadedSize]byte
	if _, err := s.Kernel().Read(addr, b[:]); err != nil {
		return UnloadedDriver{}, err
	}
	length, buffer := le16(b[0:]), le64(b[8:])
	d := UnloadedDriver{
		Start: le64(b[unloadedStart:]), End: le64(b[unloadedEnd:]),
		Time: FileTime(le64(b[unloadedTime:])),
	}
	if length == 0 || buffer == 0 {
		return d, nil
	}
	name, err := memory.ReadBytes(s.Kernel(), buffer, int(length&^1))
	d.Name = types.UTF16(name)
	return d, err
}
